"""What AWS Glue does, on this machine: runs jobs on Spark, crawls the landing zone, walks workflows."""
