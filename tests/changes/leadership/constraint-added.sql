-- expect: drifted table program_resources: constraint program_resources_content_check
ALTER TABLE program_resources ADD CONSTRAINT program_resources_content_check CHECK (content <> '');
