// Package record describes hashkit's golden records: what was asked of a real
// nutcracker, and how its answers are stored. The program that makes the
// records and the test that reads them share it, so that both speak of the
// same keys.
package record

// Manifest is the content of testdata/manifest.json.
type Manifest struct {
	Nutcracker string `json:"nutcracker"` // the version that answered
	Lists      []List `json:"lists"`
}

// List is one server list, with the pools that used it.
type List struct {
	Name    string   `json:"name"`
	Servers []Server `json:"servers"` // in the configuration's order
	Keys    Keys     `json:"keys"`    // sent through each of the pools
	Pools   []Pool   `json:"pools"`
	// Owners is the file beside the manifest that holds the answers, compressed with
	// gzip: for each pool in turn, for each key in turn, one byte, the
	// position in Servers of the server that got the key.
	Owners string `json:"owners"`
}

// Server is one server of a list, as the configuration has it.
type Server struct {
	Host   string `json:"host"`           // address, or a unix socket's path
	Port   int    `json:"port,omitempty"` // 0 for a unix socket
	Weight int    `json:"weight"`
	Name   string `json:"name,omitempty"` // empty: unnamed
	// Dead says that nothing listened there, and that nutcracker had ejected
	// the server before the first recorded key.
	Dead bool `json:"dead,omitempty"`
}

// Pool is one pool of a list.
type Pool struct {
	Hash         string `json:"hash"`
	Distribution string `json:"distribution"`
	HashTag      string `json:"hash_tag,omitempty"`
}

// Keys tells a sequence of keys. Every key has 1 to MaxLen bytes.
type Keys struct {
	Count  int    `json:"count"`
	MaxLen int    `json:"max_len"`
	Seed   uint64 `json:"seed"`
	// Alphabet is what keys are made of; empty: all 256 byte values.
	Alphabet []byte `json:"alphabet,omitempty"`
}

// Generate returns the keys, in order: always the same ones for the same
// fields. The slices are the caller's.
func (k Keys) Generate() [][]byte {
	random := splitmix64(k.Seed)
	keys := make([][]byte, k.Count)
	for i := range keys {
		key := make([]byte, 1+random.next()%uint64(k.MaxLen))
		for j := range key {
			if len(k.Alphabet) == 0 {
				key[j] = byte(random.next())
			} else {
				key[j] = k.Alphabet[random.next()%uint64(len(k.Alphabet))]
			}
		}
		keys[i] = key
	}
	return keys
}

// splitmix64 is Sebastiano Vigna's generator of that name. The records depend
// on its sequence, which a library's generator might not keep.
type splitmix64 uint64

func (s *splitmix64) next() uint64 {
	*s += 0x9e3779b97f4a7c15
	z := uint64(*s)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
