-- says: opportunity's amount
UPDATE cost_opportunities SET amount_variance = amount_variance * 2;

-- says: opportunity's percentage
UPDATE cost_opportunities SET percent_variance = 1;

-- says: opportunity's rank
UPDATE cost_opportunities SET aco_rank = 24;

-- says: the type is neutral
UPDATE cost_opportunities SET amount_variance = NULL, opportunity_type = 'neutral';
