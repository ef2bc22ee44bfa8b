package main

// mostMemory is the default of --memory where the machine has four times as much, or does not say.
const mostMemory = 1 << 30

// defaultMemory is what of the machine's memory streams may take if nobody says anything: at most a quarter.
func defaultMemory() bound {
	if all := machineMemory(); all > 0 {
		return bound(min(mostMemory, all/4))
	}
	return mostMemory
}
