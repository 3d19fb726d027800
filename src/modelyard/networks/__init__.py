"""The imported network: Google's graph of 2015 with its label maps, or what stands in for it."""
