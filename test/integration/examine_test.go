package integration

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"nuthatch/internal/check"
	"nuthatch/internal/testkit"
)

// examine runs "nuthatch check" on a file, and returns its exit status, what was found of
// the first pool, and the faults, minor ones in brackets.
func examine(t *testing.T, conf string) (int, check.Examination, []string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "check.yml")
	if err := os.WriteFile(file, []byte(testkit.Vary(t, strings.ReplaceAll(conf, testkit.ListenToken, "127.0.0.1:22121"))), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(testkit.Binary(t), "check", "--json", "-c", file)
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 2 {
		err = nil
	}
	if err != nil {
		t.Fatalf("%v: %s", err, exit.Stderr)
	}
	var all []check.Examination
	if err := json.Unmarshal(out, &all); err != nil || len(all) != 1 {
		t.Fatalf("%v in %s", err, out)
	}
	var faults []string
	for _, f := range all[0].Faults() {
		text := f.Where + ": " + f.What
		if f.Minor {
			text = "[" + text + "]"
		}
		faults = append(faults, text)
	}
	return cmd.ProcessState.ExitCode(), all[0], faults
}

// has reports an error if no fault contains all these texts.
func has(t *testing.T, faults []string, texts ...string) {
	t.Helper()
	if !slices.ContainsFunc(faults, func(f string) bool {
		return !slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(f, text) })
	}) {
		t.Errorf("no fault has %q:\n%s", texts, strings.Join(faults, "\n"))
	}
}

// Before a cluster is used, nuthatch check says what is wrong with it: nothing; a seed that
// is no node, or of another cluster; a password that nodes refuse; slots without a primary;
// half of the cluster gone.
func TestCheckCluster(t *testing.T) {
	t.Parallel()
	cluster := testkit.StartCluster(t, 3, 1, clusterDown)
	cluster.AwaitAgreed()
	status, x, faults := examine(t, cluster.Pool(cluster.Nodes[1]).String())
	if status != 0 || len(faults) != 0 || x.Cluster.Covered != testkit.NumSlots || len(x.Cluster.Nodes) != 6 {
		t.Errorf("status %d, %+v, faults:\n%s", status, x.Cluster, strings.Join(faults, "\n"))
	}

	other := testkit.StartCluster(t, 3, 0, clusterDown)
	plain := testkit.StartRedis(t)
	pool := cluster.Pool(cluster.Nodes[0])
	pool.Servers = append(pool.Servers, plain.Entry(""), other.Seeds(other.Nodes[0])[0])
	status, _, faults = examine(t, pool.String())
	if status != 2 || len(faults) != 3 {
		t.Errorf("status %d, faults:\n%s", status, strings.Join(faults, "\n"))
	}
	has(t, faults, plain.Addr(), "it is no node of a cluster")
	has(t, faults, other.Nodes[0].Addr(), "it belongs to another cluster than")
	has(t, faults, "cluster", "the seeds belong to two clusters: "+cluster.Nodes[0].Addr()+" to the one that is used; "+other.Nodes[0].Addr()+" to another")

	slot := other.Slot("a")
	owner := other.Owner(other.Nodes[0], slot).Dial()
	owner.Do("CLUSTER", "DELSLOTS", fmt.Sprint(slot))
	owner.Do("CONFIG", "SET", "requirepass", "secret")
	defer owner.Do("CONFIG", "SET", "requirepass", "")
	status, _, faults = examine(t, other.Pool().String())
	if status != 2 {
		t.Errorf("status %d", status)
	}
	has(t, faults, other.Owner(other.Nodes[1], slot).Addr(), "it wants a password", "NOAUTH")

	cluster.Nodes[0].Kill()
	cluster.Nodes[3].Kill()
	testkit.Await(t, "the failure to be known", func() error {
		if line := cluster.View(cluster.Nodes[1])[cluster.ID(cluster.Nodes[0])]; !line.Has("fail") {
			return fmt.Errorf("its flags are %v", line.Flags)
		}
		return nil
	})
	_, _, faults = examine(t, cluster.Pool(cluster.Nodes[1]).String())
	has(t, faults, cluster.Nodes[1].Addr(), "its cluster_state is fail")
	has(t, faults, cluster.Nodes[0].Addr(), "it has failed, as the others say, and it has slots")
	cluster.Nodes[2].Kill()
	_, _, faults = examine(t, cluster.Pool(cluster.Nodes[1]).String())
	has(t, faults, "cluster: 2 of 3 primaries are out of reach: half of the cluster is missing")
}

// A slot that nobody has is told.
func TestCheckClusterHoles(t *testing.T) {
	t.Parallel()
	cluster := testkit.StartCluster(t, 3, 0, clusterDown)
	cluster.AwaitAgreed()
	for _, s := range cluster.Nodes {
		c := s.Dial()
		for _, slot := range []string{"100", "101"} {
			c.Do("CLUSTER", "DELSLOTS", slot)
		}
		c.Close()
	}
	status, _, faults := examine(t, cluster.Pool(cluster.Nodes[0]).String())
	if status != 2 {
		t.Errorf("status %d", status)
	}
	has(t, faults, "cluster: 2 of 16384 slots have no primary: 100-101")
}

// Before sentinels are used, nuthatch check says what is wrong with them: nothing; one that is
// down; a name that they do not know; a primary that is none any more.
func TestCheckSentinels(t *testing.T) {
	t.Parallel()
	w := testkit.StartWatched(t, "main", 1, 3, 700*time.Millisecond)
	status, x, faults := examine(t, sentinelPool(w))
	if status != 0 || len(faults) != 0 || len(x.Sentinel.Primaries) != 1 || x.Sentinel.Primaries[0].Role != "primary" || x.Sentinel.Primaries[0].Quorum != 2 {
		t.Errorf("status %d, %+v, faults:\n%s", status, x.Sentinel, strings.Join(faults, "\n"))
	}
	w.Sentinels[2].Kill()
	status, _, faults = examine(t, strings.ReplaceAll(sentinelPool(w), "sentinel://main:1", "sentinel://mein:1"))
	if status != 2 {
		t.Errorf("status %d", status)
	}
	has(t, faults, w.Sentinels[2].Addr(), "nothing listens there")
	has(t, faults, w.Sentinels[0].Addr(), "mein: it does not know the primary's name")
	has(t, faults, "mein: no sentinel says where it is")
	w.Sentinels[1].Pause()
	defer w.Sentinels[1].Resume()
	_, _, faults = examine(t, sentinelPool(w))
	has(t, faults, w.Sentinels[1].Addr(), "it does not answer in time")
	has(t, faults, "sentinels: 2 of 3 are of no use")
	// It stays a replica of nobody: one sentinel is not enough to fail over.
	c := w.Primary(0).Dial()
	defer c.Close()
	c.Do("REPLICAOF", "127.0.0.1", "1")
	_, _, faults = examine(t, sentinelPool(w))
	has(t, faults, "main, as sentinels say, is no primary but a replica")
}
