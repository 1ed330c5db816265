-- expect: drifted table recommendations: policy all_of_them
CREATE POLICY all_of_them ON recommendations USING (true);
