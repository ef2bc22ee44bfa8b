package format

// A transport stream's own clock: some packets of one PID of each program carry its program clock reference (PCR), in
// ticks of 27 MHz, at least every 100 ms. It counts to 2^33 times 300, some 26 hours, and then from 0.
const (
	ClockRate = 27_000_000
	ClockWrap = 300 << 33
)

// Clock returns the PCR that a packet of a transport stream carries, and its PID; ok is false if there is none. A
// packet is 188 bytes.
func Clock(packet []byte) (ticks int64, pid int, ok bool) {
	const damaged, adaptation, pcr, least = 0x80, 0x20, 0x10, 7
	if len(packet) < packetSize || packet[0] != syncByte || packet[1]&damaged != 0 ||
		packet[3]&adaptation == 0 || packet[4] < least || packet[5]&pcr == 0 {
		return 0, 0, false
	}
	b := packet[6:]
	base := int64(b[0])<<25 | int64(b[1])<<17 | int64(b[2])<<9 | int64(b[3])<<1 | int64(b[4])>>7
	return base*300 + int64(b[4]&1)<<8 | int64(b[5]), int(pidAt(packet[1:])), true
}

// PacketSize is the length of a packet of a transport stream.
const PacketSize = packetSize
