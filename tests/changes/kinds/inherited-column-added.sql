-- expect: drifted table parent: column later
-- expect: drifted table child: column later
ALTER TABLE parent ADD COLUMN later date;
