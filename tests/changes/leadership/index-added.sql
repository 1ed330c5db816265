-- expect: drifted table program_resources: index program_resources_title_idx
CREATE INDEX program_resources_title_idx ON program_resources (title);
