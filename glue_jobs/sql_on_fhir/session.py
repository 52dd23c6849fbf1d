"""Settings of a Spark session that the plans of this package depend on."""

from __future__ import annotations


def suit_session() -> None:
    """Set limits of the session's planner that views with many iterations run into.

    Spark 3.5 prunes nested fields below generators, and for some chains of them loses a field that is still read
    ("Couldn't find _extract_..."); either of two settings lets it. There is nothing for it to prune here: the schema
    holds only what is needed. And it resolves one function of functions per pass, of which it allows 100: a deep path
    has more.
    """
    from pyspark.sql import SparkSession

    session = SparkSession.getActiveSession()
    if session is not None:
        session.conf.set("spark.sql.optimizer.expression.nestedPruning.enabled", "false")
        session.conf.set("spark.sql.optimizer.nestedSchemaPruning.enabled", "false")
        session.conf.set("spark.sql.analyzer.maxIterations", "1000")
