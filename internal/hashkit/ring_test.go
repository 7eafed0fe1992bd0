package hashkit_test

import (
	"testing"

	"nuthatch/internal/hashkit"
)

func TestTagOf(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, tag, key, want string }{
		{"no tag", "", "a{b}c", "a{b}c"},
		{"in the middle", "{}", "a{b}c", "b"},
		{"at both ends", "{}", "{user}", "user"},
		{"no opening byte", "{}", "ab}c", "ab}c"},
		{"no closing byte", "{}", "a{bc", "a{bc"},
		{"closing before opening only", "{}", "a}b{c", "a}b{c"},
		{"closing before and after", "{}", "a}b{c}", "c"},
		{"empty", "{}", "a{}b", "a{}b"},
		{"empty first, full second", "{}", "a{}{b}", "a{}{b}"},
		{"first opening wins", "{}", "{{a}}", "{a"},
		{"first closing wins", "{}", "{a}b}", "a"},
		{"only the first pair", "{}", "{a}{b}", "a"},
		{"equal bytes", "$$", "a$b$c$d", "b"},
		{"equal bytes, one of them", "$$", "a$b", "a$b"},
		{"equal bytes, doubled", "$$", "$$b$", "$$b$"},
		{"opening byte last", "{}", "ab{", "ab{"},
		{"empty key", "{}", "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var tag hashkit.Tag
			copy(tag[:], test.tag)
			if got := tag.Of([]byte(test.key)); string(got) != test.want {
				t.Errorf("Of(%q) = %q, want %q", test.key, got, test.want)
			}
		})
	}
}

func TestNodeName(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		host string
		port int
		want string
	}{
		{"10.0.0.1", 6379, "10.0.0.1:6379"},
		{"10.0.0.1", 11211, "10.0.0.1"},
		{"cache", 11212, "cache:11212"},
		{"::1", 6379, "::1:6379"},
		{"::1", 11211, "::1"},
		{"/run/redis.sock", 0, "/run/redis.sock:"},
	} {
		if got := hashkit.NodeName(test.host, test.port); got != test.want {
			t.Errorf("NodeName(%q, %d) = %q, want %q", test.host, test.port, got, test.want)
		}
	}
}

func TestRingServer(t *testing.T) {
	t.Parallel()
	up, down := hashkit.Node{Name: "up", Weight: 1}, hashkit.Node{Name: "down", Weight: 1, Down: true}
	three := []hashkit.Node{up, {Name: "two", Weight: 1}, {Name: "three", Weight: 1}}
	ketama := hashkit.NewContinuum(hashkit.Ketama, three)
	for _, test := range []struct {
		name         string
		distribution hashkit.Distribution
		nodes        []hashkit.Node
		key          string
		rnd          uint32
		want         int
	}{
		{"no server", hashkit.Ketama, nil, "key", 0, -1},
		{"one server", hashkit.Ketama, []hashkit.Node{up}, "key", 0, 0},
		{"one server, ejected", hashkit.Ketama, []hashkit.Node{down}, "key", 0, -1},
		{"one server, random", hashkit.Random, []hashkit.Node{up}, "key", 7, 0},
		{"one server, random, ejected", hashkit.Random, []hashkit.Node{down}, "key", 7, -1},
		{"one of two ejected", hashkit.Ketama, []hashkit.Node{down, up}, "key", 0, 1},
		{"all ejected, ketama", hashkit.Ketama, []hashkit.Node{down, down}, "key", 0, -1},
		{"all ejected, modula", hashkit.Modula, []hashkit.Node{down, down}, "key", 0, -1},
		{"all ejected, random", hashkit.Random, []hashkit.Node{down, down}, "key", 5, -1},
		{"an empty key's hash is 0", hashkit.Ketama, three, "", 0, ketama.Index(0)},
		{"random takes the number, not the key", hashkit.Random, three, "key", 4, 1},
		{"modula takes the key, not the number", hashkit.Modula, three, "", 1, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			ring := hashkit.Ring{Hash: hashkit.FNV1a_64, Continuum: hashkit.NewContinuum(test.distribution, test.nodes)}
			if got := ring.Server([]byte(test.key), test.rnd); got != test.want {
				t.Errorf("Server(%q, %d) = %d, want %d", test.key, test.rnd, got, test.want)
			}
		})
	}
}

func TestRingKeyHash(t *testing.T) {
	t.Parallel()
	nodes := []hashkit.Node{{Name: "a", Weight: 1}, {Name: "b", Weight: 1}}
	ring := hashkit.Ring{Hash: hashkit.Murmur, Tag: hashkit.Tag{'{', '}'}, Continuum: hashkit.NewContinuum(hashkit.Ketama, nodes)}
	if got, want := ring.KeyHash([]byte("x{tag}y")), hashkit.Murmur.Sum([]byte("tag")); got != want {
		t.Errorf("with a tag: %#x, want the tag's hash, %#x", got, want)
	}
	if got := ring.KeyHash(nil); got != 0 {
		t.Errorf("of an empty key: %#x, want 0", got)
	}
	ring.Continuum = hashkit.NewContinuum(hashkit.Ketama, nodes[:1])
	if got := ring.KeyHash([]byte("x{tag}y")); got != 0 {
		t.Errorf("in a pool of one server: %#x, want 0", got)
	}
}

func TestRingServerDoesNotAllocate(t *testing.T) {
	nodes := []hashkit.Node{{Name: "a", Weight: 1}, {Name: "b", Weight: 2}, {Name: "c", Weight: 3}}
	key := []byte("some{tagged}key")
	for i, name := range hashkit.DistributionNames() {
		ring := hashkit.Ring{
			Hash:      hashkit.MD5,
			Tag:       hashkit.Tag{'{', '}'},
			Continuum: hashkit.NewContinuum(hashkit.Distribution(i), nodes),
		}
		if n := testing.AllocsPerRun(100, func() { ring.Server(key, 1) }); n > 0 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
}
