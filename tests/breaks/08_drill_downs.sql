-- says: hospitals' spend adds up
UPDATE cost_category_hospitals SET spend = spend + 0.01 WHERE display_order = 1;

-- says: hospitals' discharges add up
UPDATE cost_category_hospitals SET discharges = discharges + 1 WHERE display_order = 1;

-- says: DRGs cost
UPDATE cost_category_drgs SET total_spend = 100000000;

-- says: discharges to an IRF
UPDATE cost_category_discharging_hospitals SET discharges = 1;

-- says: hospitals' discharges add up
UPDATE cost_category_hospitals
SET discharges = CASE display_order WHEN 1 THEN NULL ELSE 90000 END
WHERE discharges IS NOT NULL;
