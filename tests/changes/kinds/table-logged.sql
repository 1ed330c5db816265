-- expect: drifted table scratchpad: persistence
ALTER TABLE scratchpad SET LOGGED;
