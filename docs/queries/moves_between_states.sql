-- From which state to which did patients move?
WITH home AS (
  SELECT id, state, lag(state) OVER (PARTITION BY id ORDER BY valid_from, sk) AS before
  FROM watershed_conformed.address
)
SELECT before AS from_state, state AS to_state, count(*) AS moves
FROM home
WHERE before <> state
GROUP BY before, state
ORDER BY moves DESC, from_state, to_state
