-- expect: drifted table Odd Name: column some "column"; column ünï
ALTER TABLE "Odd Name"
    ALTER COLUMN "some ""column""" TYPE bigint,
    ALTER COLUMN "ünï" SET NOT NULL;
