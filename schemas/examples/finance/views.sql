-- What its pages ask for.
CREATE OR REPLACE VIEW wallet_totals AS
SELECT w.id AS wallet_id, count(t.id) AS transactions, coalesce(sum(t.amount), 0) AS total
FROM wallets w LEFT JOIN transactions t ON t.wallet_id = w.id
GROUP BY w.id;
