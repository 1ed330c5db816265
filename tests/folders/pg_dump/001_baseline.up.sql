--
-- PostgreSQL database dump
--

-- Dumped from database version 16.2
-- Dumped by pg_dump version 16.2

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

CREATE SCHEMA inventory;

CREATE FUNCTION inventory.touch() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    NEW.touched := pg_catalog.now();
    RETURN NEW;
END;
$$;

SET default_tablespace = '';

SET default_table_access_method = heap;

CREATE TABLE inventory.item (
    id integer NOT NULL,
    name text NOT NULL,
    touched timestamp with time zone
);

CREATE SEQUENCE inventory.item_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE inventory.item_id_seq OWNED BY inventory.item.id;

ALTER TABLE ONLY inventory.item ALTER COLUMN id SET DEFAULT nextval('inventory.item_id_seq'::regclass);

INSERT INTO inventory.item VALUES (1, 'a; b', NULL);

SELECT pg_catalog.setval('inventory.item_id_seq', 1, true);

ALTER TABLE ONLY inventory.item
    ADD CONSTRAINT item_pkey PRIMARY KEY (id);

CREATE TRIGGER touch BEFORE UPDATE ON inventory.item FOR EACH ROW EXECUTE FUNCTION inventory.touch();

--
-- PostgreSQL database dump complete
--
