package examples

import (
	"encoding/json"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"nuthatch/internal/eventloop"
	"nuthatch/internal/testkit"
)

// TestSeccompProfile: the filter allows io_uring, whatever the profile says of it, and leaves
// the rest as it is.
func TestSeccompProfile(t *testing.T) {
	const profile = `{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1, "archMap": [{"architecture": "SCMP_ARCH_X86_64"}], "syscalls": [
		{"names": ["read", "write"], "action": "SCMP_ACT_ALLOW"},
		{"names": ["io_uring_setup", "clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38},
		{"names": ["io_uring_enter"], "action": "SCMP_ACT_ERRNO"}]}`
	out := allowIOUring(t, profile)
	type rule struct {
		Names  []string
		Action string
	}
	var got struct {
		DefaultAction string
		ArchMap       []any
		Syscalls      []rule
	}
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	want := []rule{
		{[]string{"io_uring_setup", "io_uring_enter", "io_uring_register"}, "SCMP_ACT_ALLOW"},
		{[]string{"read", "write"}, "SCMP_ACT_ALLOW"},
		{[]string{"clone3"}, "SCMP_ACT_ERRNO"},
	}
	if got.DefaultAction != "SCMP_ACT_ERRNO" || len(got.ArchMap) != 1 ||
		!slices.EqualFunc(got.Syscalls, want, func(a, b rule) bool { return a.Action == b.Action && slices.Equal(a.Names, b.Names) }) {
		t.Errorf("the profile is\n%s", out)
	}
}

// allowIOUring applies the example to a profile.
func allowIOUring(t *testing.T, profile string) []byte {
	t.Helper()
	jq := exec.Command(testkit.Program(t, "jq"), "-f", "docker/io_uring.jq")
	jq.Stdin = strings.NewReader(profile)
	out, err := jq.Output()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestSeccompProfileInForce: under a profile that forbids calls of io_uring, nuthatch cannot use
// it. Under what the example makes of the profile it can, if it can without one.
func TestSeccompProfileInForce(t *testing.T) {
	const profile = `{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
		{"names": ["io_uring_setup"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1},
		{"names": ["io_uring_enter", "io_uring_register"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38}]}`
	forbidden := testkit.UnderSeccomp(t, []byte(profile))
	out, err := exec.Command(forbidden, "check", "engine").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "a seccomp filter forbids it") {
		t.Errorf("under the profile: %v\n%s", err, out)
	}
	allowed := testkit.UnderSeccomp(t, allowIOUring(t, profile))
	engine := "io_uring"
	if !eventloop.Probe(1).Usable() {
		engine = "auto" // it must start all the same
	}
	server := testkit.StartRedis(t)
	pool := testkit.Pool{Name: "alpha", Protocol: testkit.Redis, Servers: testkit.Names(server)}
	p := testkit.StartNuthatch(t, pool.String()+"nuthatch:\n  engine: "+engine+"\n", testkit.From(allowed))
	if got := p.Dial(testkit.Redis).Do("SET", "a", "1"); got != "+OK\r\n" {
		t.Errorf("SET: %q", got)
	}
}
