package hashkit

import (
	"crypto/md5"
	"encoding/binary"
	"slices"
	"strconv"
)

const (
	ketamaPointsPerServer = 160 // on average over the live servers
	ketamaPointsPerDigest = 4   // an MD5 digest holds four 32-bit points
	ketamaMaxLabel        = 272 // bytes of "name-number" that nutcracker hashes at most
)

// ketamaPort is the port that libmemcached leaves out of a server's name.
const ketamaPort = 11211

// NodeName returns the name under which a server without one in the
// configuration is hashed: "host:port", or only host if the port is memcached's
// own, 11211 (libmemcached does so). A unix socket, whose host is a path that
// begins with '/' and whose port is ignored, is hashed as the path with a colon
// behind it. host is taken as the configuration writes it: an IPv6 address gets
// no brackets. A port that the configuration writes with leading zeroes keeps
// them in nutcracker's name, unless it is 11211; that name is the caller's to
// build.
func NodeName(host string, port int) string {
	switch {
	case len(host) > 0 && host[0] == '/':
		return host + ":"
	case port == ketamaPort:
		return host
	}
	return host + ":" + strconv.Itoa(port)
}

// ketamaPoints returns the ring of the live nodes, sorted by value. Equal values
// stay in the order of live, as they do in nutcracker (its sort is a merge sort),
// so that the first of them wins.
func ketamaPoints(live []liveNode) []point {
	var total uint64
	for _, n := range live {
		total += n.weight
	}
	// A value above the owner's position in live: numbers sort faster than
	// structs, and no two that differ are equal.
	ring := make([]uint64, 0, (len(live)+1)*ketamaPointsPerServer)
	var label []byte
	for at, n := range live {
		label = append(append(label[:0], n.name...), '-')
		prefix := len(label)
		for i := range ketamaDigests(n.weight, total, len(live)) {
			label = strconv.AppendUint(label[:prefix], uint64(i), 10)
			digest := md5.Sum(label[:min(len(label), ketamaMaxLabel)])
			for j := range ketamaPointsPerDigest {
				ring = append(ring, uint64(binary.LittleEndian.Uint32(digest[4*j:]))<<32|uint64(at))
			}
		}
	}
	slices.Sort(ring)
	points := make([]point, 0, len(ring)+1) // room for the guard
	for _, p := range ring {
		points = append(points, point{value: uint32(p >> 32), server: live[uint32(p)].server})
	}
	return points
}

// ketamaDigests returns the number of digests, of four points each, that a
// node gets: its share of 40 per live node, rounded down, which may be none.
// Every intermediate result is a float32, as in nutcracker on x86-64, and each
// conversion says so to the compiler, which may otherwise fuse operations. The
// tiny term is nutcracker's too; single precision swallows it for every share that
// could come near a whole number.
func ketamaDigests(weight, total uint64, live int) int {
	share := float32(weight) / float32(total)
	share = float32(share * ketamaPointsPerServer)
	share = float32(share / ketamaPointsPerDigest)
	share = float32(share * float32(live))
	return int(float32(float64(share) + 0.0000000001))
}
