-- expect: unexpected table parent: column later
-- expect: unexpected table child: column later
ALTER TABLE parent ADD COLUMN later date;
