-- Add migration script here
create table "user"
(
    user_id       uuid primary key default gen_random_uuid(),
    username      text collate "C" unique not null,
    email         text unique not null,
    bio           text not null default '',
    created_at    timestamptz not null default now(),
    updated_at    timestamptz
);

create or replace function set_updated_at()
    returns trigger as
$$
begin
    NEW.updated_at = now();
    return NEW;
end;
$$ language plpgsql;

create or replace function trigger_updated_at(tablename regclass)
    returns void as
$$
begin
    execute format('CREATE TRIGGER set_updated_at
        BEFORE UPDATE
        ON %s
        FOR EACH ROW
        WHEN (OLD is distinct from NEW)
    EXECUTE FUNCTION set_updated_at();', tablename);
end;
$$ language plpgsql;

SELECT trigger_updated_at('"user"');
