-- expect: drifted table program_resources: constraint program_resources_title_check
ALTER TABLE program_resources DROP CONSTRAINT program_resources_title_check;
