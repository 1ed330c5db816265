-- expect: drifted table program_resources: trigger aside
CREATE TRIGGER aside BEFORE INSERT ON program_resources
    FOR EACH ROW EXECUTE FUNCTION leadership_feedback_set_updated_at();
