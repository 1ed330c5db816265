-- expect: drifted type mood: definition
ALTER TYPE mood ADD VALUE 'elated';
