package hashkit_test

import (
	"bytes"
	"slices"
	"testing"

	"nuthatch/internal/hashkit"
)

// TestSum compares whole values, of which the golden records show only the part
// that a placement depends on. The values are those of nutcracker's own
// functions, called one by one on x86-64.
func TestSum(t *testing.T) {
	t.Parallel()
	order := []hashkit.Hash{
		hashkit.OneAtATime, hashkit.MD5, hashkit.CRC16, hashkit.CRC32, hashkit.CRC32a, hashkit.FNV1_64,
		hashkit.FNV1a_64, hashkit.FNV1_32, hashkit.FNV1a_32, hashkit.Hsieh, hashkit.Murmur, hashkit.Jenkins,
	}
	for _, test := range []struct {
		key  string
		want [12]uint32
	}{
		{"apple", [12]uint32{0x88f08ef3, 0xbe70381f, 0xda525bb4, 0x0000292e, 0xa92ed050, 0x1c347217, 0x58befdbf, 0x04010657, 0x10bc2abf, 0xdeda533e, 0xf6e68f62, 0x55f9f550}},
		{"\xff", [12]uint32{0xae65a494, 0xd44f5900, 0x00001ef0, 0x00007f00, 0xff000000, 0x79fe4820, 0x79fe466e, 0xfaf3a2e0, 0xf9f3a14e, 0x02a6dba8, 0xdb530a9c, 0xe1964da8}},
		{"\x80\xfe", [12]uint32{0xec7d0d63, 0xd7d16c20, 0x00911549, 0x0000205f, 0x205f55af, 0xb4eb0693, 0xb5875a93, 0x5376ffb3, 0x955dcfb3, 0xf9b829d3, 0x46c586cb, 0xdaa12871}},
		{"ab\xff", [12]uint32{0x0603d118, 0x82abbd74, 0x7c74dfe3, 0x00004c9d, 0xcc9d9ead, 0x94505257, 0xfabe022f, 0xbc63d0d7, 0xc3b7e16f, 0x75dc9fd6, 0xec9082b2, 0xe9af676b}},
		{"123456789", [12]uint32{0xc66b58c5, 0x94e7f925, 0x869031c3, 0x00004bf4, 0xcbf43926, 0x2bf916d6, 0x23c6cdfc, 0x24148816, 0xbb86b11c, 0xe4fc1670, 0xb7760690, 0x19777af6}},
		{"user:1000:name", [12]uint32{0x92ba1136, 0xd657eefc, 0xc2e7b4ca, 0x0000554f, 0x554f7250, 0x3e3812b0, 0x32df1442, 0xd9a617b0, 0xd1d6d2a2, 0x2dea0585, 0x2e4b5694, 0xa977e868}},
		{"0123456789abcdef\xe9\xe8\xe7", [12]uint32{0xd5322bfd, 0xad560603, 0xb5aac169, 0x00005f23, 0x5f2380b7, 0xb2a2fa95, 0x85ecb761, 0xc6e63f35, 0xb965bbc1, 0x7e3340fc, 0x024e8276, 0xa95e539c}},
	} {
		for i, hash := range order {
			if got := hash.Sum([]byte(test.key)); got != test.want[i] {
				t.Errorf("%v of %q = %#08x, want %#08x", hash, test.key, got, test.want[i])
			}
		}
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	wantHashes := []string{
		"one_at_a_time", "md5", "crc16", "crc32", "crc32a", "fnv1_64",
		"fnv1a_64", "fnv1_32", "fnv1a_32", "hsieh", "murmur", "jenkins",
	}
	if got := hashkit.HashNames(); !slices.Equal(got, wantHashes) {
		t.Errorf("HashNames() = %q, want %q", got, wantHashes)
	}
	for i, name := range wantHashes {
		if h, ok := hashkit.ParseHash(name); !ok || h != hashkit.Hash(i) || h.String() != name {
			t.Errorf("ParseHash(%q) = %v, %v", name, h, ok)
		}
	}
	wantDistributions := []string{"ketama", "modula", "random"}
	if got := hashkit.DistributionNames(); !slices.Equal(got, wantDistributions) {
		t.Errorf("DistributionNames() = %q, want %q", got, wantDistributions)
	}
	for i, name := range wantDistributions {
		if d, ok := hashkit.ParseDistribution(name); !ok || d != hashkit.Distribution(i) || d.String() != name {
			t.Errorf("ParseDistribution(%q) = %v, %v", name, d, ok)
		}
	}
	for _, name := range []string{"", "MD5", "md5 ", "crc64", "Ketama"} {
		if h, ok := hashkit.ParseHash(name); ok {
			t.Errorf("ParseHash(%q) = %v", name, h)
		}
		if d, ok := hashkit.ParseDistribution(name); ok {
			t.Errorf("ParseDistribution(%q) = %v", name, d)
		}
	}
	const beyond = 200
	if got := hashkit.Hash(beyond).String(); got != "Hash(200)" {
		t.Errorf("Hash(200).String() = %q", got)
	}
	if got := hashkit.Distribution(beyond).String(); got != "Distribution(200)" {
		t.Errorf("Distribution(200).String() = %q", got)
	}
	if got := hashkit.Hash(beyond).Sum([]byte("key")); got != 0 {
		t.Errorf("an unknown hash's Sum = %d, want 0", got)
	}
	hashkit.HashNames()[0] = "overwritten"
	if got := hashkit.OneAtATime.String(); got != "one_at_a_time" {
		t.Errorf("writing to HashNames' result changed a name to %q", got)
	}
}

// FuzzSum: no key, at any length or alignment, makes a hash panic, read beyond
// the key, or change it.
func FuzzSum(f *testing.F) {
	for n := range 40 {
		f.Add(bytes.Repeat([]byte{0xff}, n))
	}
	f.Fuzz(func(t *testing.T, key []byte) {
		padded := append(append([]byte{1, 2, 3}, key...), 4, 5, 6, 7, 8, 9, 10, 11)
		inside := padded[3 : 3+len(key)]
		for i := range hashkit.HashNames() {
			hash := hashkit.Hash(i)
			want := hash.Sum(key)
			if got := hash.Sum(inside); got != want {
				t.Errorf("%v of %q = %#x amid other bytes, %#x alone", hash, key, got, want)
			}
			if !bytes.Equal(inside, key) {
				t.Fatalf("%v changed its key %q to %q", hash, key, inside)
			}
		}
	})
}

func TestSumDoesNotAllocate(t *testing.T) {
	key := bytes.Repeat([]byte("k"), 100)
	for i, name := range hashkit.HashNames() {
		if n := testing.AllocsPerRun(100, func() { hashkit.Hash(i).Sum(key) }); n > 0 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
}

func BenchmarkSum(b *testing.B) {
	key := []byte("user:12345678:ab")
	for i, name := range hashkit.HashNames() {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				hashkit.Hash(i).Sum(key)
			}
		})
	}
}
