-- expect: drifted table cost_categories: trigger cost_categories_set_updated_at
CREATE OR REPLACE TRIGGER cost_categories_set_updated_at
    BEFORE UPDATE OF slug ON cost_categories
    FOR EACH ROW EXECUTE FUNCTION leadership_feedback_set_updated_at();
