"""Is it faster here? Measures Ricorso beside its peers on the machine it runs on: `ricorso bench`, and benchmarks/."""
