-- expect: drifted table account: sequence account_id_seq
ALTER SEQUENCE account_id_seq OWNED BY NONE;
