package proxy_test

import (
	"fmt"
	"strings"
	"testing"

	"nuthatch/internal/testkit"
)

// newerExchanges are requests that the redis-server of the tests does not know, and
// the replies that the documentation of those that do shows.
var newerExchanges = [][2]string{
	{"DELIFEQ mykey abc123", ":1\r\n"},
	{"DELEX mykey IFEQ abc123", ":1\r\n"},
	{"DIGEST key1", "$16\r\nb6acb9d84a38ff74\r\n"},
	{"INCREX mykey2 BYINT 5", "*2\r\n:105\r\n:5\r\n"},
	{"LMOVEM {my}list {my}otherlist LEFT LEFT COUNT 2 OBO", "*2\r\n$1\r\n2\r\n$1\r\n1\r\n"},
	{"LMOVEM {my}list {my}otherlist LEFT LEFT EXACTLY 5 BULK", "$-1\r\n"},
	{"SUNIONCARD 2 {k}1 {k}2", ":5\r\n"},
	{"SDIFFCARD 2 {k}1 {k}2 LIMIT 1", ":1\r\n"},
	{"XDELEX mystream KEEPREF IDS 2 1526919030474-55 1526919030474-56", "*2\r\n:-1\r\n:-1\r\n"},
	{"XACKDEL mystream mygroup KEEPREF IDS 2 1755870377536-0 1755870387045-0", "*2\r\n:1\r\n:1\r\n"},
	{"XNACK mystream mygroup FAIL IDS 2 1526569498055-0 1526569498056-0", ":2\r\n"},
	{"ARMSET myarray 0 a 1 b 5 c", ":3\r\n"},
	{"ARMGET myarray 0 1 5 3", "*4\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n$-1\r\n"},
	{"ARSCAN myarray 0 10 LIMIT 2", "*2\r\n*2\r\n:0\r\n$1\r\na\r\n*2\r\n:5\r\n$1\r\nb\r\n"},
	{"AROP myarray 0 2 MATCH 10", ":1\r\n"},
	{"VADD mykey VALUES 3 0.1 1.2 0.5 my-element", ":1\r\n"},
	{"VSIM mykey ELE my-element COUNT 1", "*1\r\n$10\r\nmy-element\r\n"},
	{"HGETDEL myhash FIELDS 1 f2", "*1\r\n$2\r\nv2\r\n"},
}

// newer is a server that knows these requests, and MSETEX and SCAN. It tells which
// of them it was asked.
func newer(said string, asked chan<- string) func(*testkit.Talk) {
	replies := map[string]string{}
	for _, e := range newerExchanges {
		replies[e[0]] = e[1]
	}
	return func(k *testkit.Talk) {
		for {
			args, ok := k.Command()
			if !ok {
				return
			}
			text := strings.Join(args, " ")
			asked <- text
			switch reply := replies[text]; {
			case strings.EqualFold(args[0], "msetex"):
				k.Reply(said)
			case args[0] == "SCAN":
				k.Reply("*2\r\n$1\r\n0\r\n*1\r\n$5\r\nkey:1\r\n")
			case reply == "":
				k.Reply("-ERR nobody asks that\r\n")
			default:
				k.Reply(reply)
			}
		}
	}
}

// Newer commands go to the owner of their keys, as they are, and so does its reply
// to the client.
func TestNewerCommands(t *testing.T) {
	asked := make(chan string, 100)
	one, two := testkit.StartScripted(t, newer(":1\r\n", asked)), testkit.StartScripted(t, newer(":1\r\n", asked))
	u := startRig(t, twoServers(one.Addr(), two.Addr(), "  hash_tag: \"{}\"\n")).dial()
	for _, e := range newerExchanges {
		u.send(command(strings.Fields(e[0])...))
		u.expect(e[1])
		if got := <-asked; got != e[0] {
			t.Errorf("a server was asked %q, want %q", got, e[0])
		}
	}
	for _, refused := range []string{"HIMPORT PREPARE fs f", "HIMPORT SET k fs v", "HOTKEYS GET", "BACKUP START"} {
		u.send(command(strings.Fields(refused)...))
		line, err := u.in.ReadString('\n')
		if err != nil || !strings.Contains(line, " is not supported by nuthatch: it ") || len(asked) > 0 {
			t.Errorf("%s: %q, %v", refused, line, err)
		}
	}
	u.send(command("CLUSTERSCAN", "0", "COUNT", "5"))
	u.expect("*2\r\n$1\r\n1\r\n*1\r\n$5\r\nkey:1\r\n")
	if got := <-asked; got != "SCAN 0 COUNT 5" {
		t.Errorf("CLUSTERSCAN asks %q", got)
	}
}

// MSETEX is split like MSET, and its reply is 1 if all say so. With a condition it
// has one owner or none.
func TestMSETEX(t *testing.T) {
	for _, said := range []string{":1\r\n", ":0\r\n", "-OOM command not allowed\r\n"} {
		asked := make(chan string, 100)
		one, two := testkit.StartScripted(t, newer(":1\r\n", asked)), testkit.StartScripted(t, newer(said, asked))
		u := startRig(t, twoServers(one.Addr(), two.Addr(), "  hash_tag: \"{}\"\n")).dial()
		request := []string{"MSETEX", "20"}
		for i := range 20 {
			request = append(request, fmt.Sprint("key", i), fmt.Sprint(i))
		}
		u.send(command(append(request, "EX", "10")...))
		u.expect(said)
		words := 0
		for range 2 {
			part := <-asked
			words += len(strings.Fields(part))
			if !strings.HasPrefix(part, "msetex ") || !strings.HasSuffix(part, " EX 10") {
				t.Errorf("a server was asked %q", part)
			}
		}
		if words != 48 {
			t.Errorf("servers were sent %d words, want 48", words)
		}
		u.send(command(append(request, "NX")...))
		if line, err := u.in.ReadString('\n'); err != nil || !strings.HasPrefix(line, "-CROSSSLOT ") || len(asked) > 0 {
			t.Errorf("with NX: %q, %v", line, err)
		}
		u.send(command("MSETEX", "2", "{a}1", "x", "{a}2", "y", "XX"))
		if line, err := u.in.ReadString('\n'); err != nil || line != ":1\r\n" && line != said {
			t.Errorf("with XX and one owner: %q, %v", line, err)
		}
		if got := <-asked; got != "MSETEX 2 {a}1 x {a}2 y XX" {
			t.Errorf("with XX and one owner a server was asked %q", got)
		}
	}
}
