-- expect: drifted type span: definition
DROP TYPE span;
CREATE TYPE span AS ENUM ('short', 'long');
