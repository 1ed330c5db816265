CREATE TABLE something (id int)
