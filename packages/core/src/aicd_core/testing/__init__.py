"""What tests of any member build on: a real database, real repositories, parts that tell what they were asked."""
