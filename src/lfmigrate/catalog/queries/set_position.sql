-- Set the position of a sequence, unless that would give out numbers again.
--
-- The setting lfmigrate.position is a jsonb object {name, last_value, is_called, forward}: the qualified and quoted name; if `forward` is
-- true, a sequence that is ahead of that position stays where it is. The setting lfmigrate.ahead becomes true then, and false otherwise.
-- Rolling back reverts it: any ALTER SEQUENCE gives the sequence new storage, to which setval then writes, and keeps other sessions
-- from it until the end of the transaction.
DO $position$
DECLARE
    asked CONSTANT jsonb := current_setting('lfmigrate.position')::jsonb;
    last CONSTANT bigint := asked ->> 'last_value';
    called CONSTANT boolean := asked ->> 'is_called';
    step bigint;
    now record;
    ahead boolean;
BEGIN
    SELECT s.seqincrement INTO STRICT step FROM pg_sequence AS s WHERE s.seqrelid = (asked ->> 'name')::regclass;
    EXECUTE format('ALTER SEQUENCE %s INCREMENT BY %s', asked ->> 'name', step);
    EXECUTE format('SELECT p.last_value, p.is_called FROM %s AS p', asked ->> 'name') INTO STRICT now;
    -- By the number that each would give out next, which may be beyond a bigint.
    ahead := (asked ->> 'forward')::boolean
        AND sign(step) * (now.last_value::numeric + CASE WHEN now.is_called THEN step ELSE 0 END
            - last - CASE WHEN called THEN step ELSE 0 END) > 0;
    IF NOT ahead THEN
        PERFORM setval((asked ->> 'name')::regclass, last, called);
    END IF;
    PERFORM set_config('lfmigrate.ahead', ahead::text, true);
END
$position$
