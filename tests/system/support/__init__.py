"""What the tests have in common: the servers that they run, the clients that they ask with, and waiting for conditions."""
