-- expect: drifted table child: inherits
ALTER TABLE child NO INHERIT parent;
