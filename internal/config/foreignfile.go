package config

import (
	"bytes"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// foreignKinds are files of other programs that are no mapping in YAML. A file is of a kind
// if a line matches first, and one, the same or another, matches as well if there is that.
// The first kind that fits is taken.
var foreignKinds = []struct {
	what, guide string
	first, as   *regexp.Regexp
}{
	{
		"mcrouter's", guideMoving,
		regexp.MustCompile(`^\s*\{?\s*"pools"\s*:`), regexp.MustCompile(`"(routes?|servers)"\s*:`),
	},
	{"Envoy's", guideMoving, regexp.MustCompile(`^\s*\{?\s*"(static|dynamic)_resources"\s*:`), nil},
	{
		"HAProxy's", guideMoving,
		regexp.MustCompile(`^(frontend|backend|listen)\s+[^\s:]+\s*$`), regexp.MustCompile(`^\s+(server|bind|mode|balance|default_backend)\s`),
	},
	{
		"predixy's", guideMoving,
		regexp.MustCompile(`^\s*((StandaloneServerPool|ClusterServerPool|SentinelServerPool|Authority|DataCenter|LatencyMonitor\s+\S+)\s*\{|(WorkerThreads|ClientTimeout|BufSize|MaxMemory)\s+\d)`), nil,
	},
	{"a sentinel's", guideSentinel, regexp.MustCompile(`^sentinel\s+[a-z-]+\s+\S`), nil},
	{
		"redis-server's", guideServers,
		regexp.MustCompile(`^(port|bind|protected-mode|tcp-backlog)\s+\S`), regexp.MustCompile(`^(save|appendonly|dbfilename|maxmemory|requirepass|dir|daemonize|databases|protected-mode)\s+\S`),
	},
	{"nginx's", guideMoving, regexp.MustCompile(`^\s*(events|http|stream|upstream\s+\S+|server)\s*\{`), regexp.MustCompile(`(^|[{;])\s*(proxy_pass|server|listen)\s.*;`)},
	{"stunnel's", guideStunnel, regexp.MustCompile(`^\s*(accept|connect)\s*=`), regexp.MustCompile(`^\s*\[[^\[\]]+\]\s*$`)},
	{"codis'", guideMoving, regexp.MustCompile(`^\s*product_name\s*=`), regexp.MustCompile(`^\s*(admin_addr|proxy_addr|jodis_name|coordinator_name)\s*=`)},
	{"overlord's", guideMoving, regexp.MustCompile(`^\s*\[\[clusters\]\]`), regexp.MustCompile(`^\s*(cache_type|listen_proto|hash_method)\s*=`)},
	{"a TOML or INI", guideYAML, regexp.MustCompile(`^\[\[?[\w. "'-]+\]\]?\s*([#;].*)?$`), regexp.MustCompile(`^\s*[\w."'-]+\s*=\s*\S`)},
}

// pemBegin is the first line of a certificate or a key.
var pemBegin = regexp.MustCompile(`^-----BEGIN [A-Z0-9 ]+-----$`)

// Where a fault about another program's file points to.
const (
	guideMoving   = "COMING-FROM.md says which of its settings is which here"
	guideStunnel  = "FROM-STUNNEL.md says which of its settings is which here"
	guideSentinel = "SENTINEL.md says how nuthatch asks sentinels"
	guideYAML     = "its own is YAML: a pool's name with a colon, and below it, indented, its keys as 'key: value'"
	guideServers  = "write the server's address below 'servers' of a pool"
)

// maxForeignLines is how many lines of a file are looked at to know whose it is.
const maxForeignLines = 4096

// foreignText says whose configuration a text is that is none of nuthatch's, and on which
// line that can be seen; empty: nobody's that is known.
func foreignText(text []byte) (msg string, line int) {
	lines := slices.Collect(bytes.Lines(text[:min(len(text), maxFileSize)]))
	lines = lines[:min(len(lines), maxForeignLines)]
	for i := range lines {
		lines[i] = bytes.TrimRight(lines[i], "\r\n")
	}
	at := func(re *regexp.Regexp) int { return slices.IndexFunc(lines, re.Match) }
	if begin := at(pemBegin); begin >= 0 {
		return "this is a certificate or a key in PEM, and no configuration; 'tls' of a pool names such files", begin + 1
	}
	for i := range foreignKinds {
		k := &foreignKinds[i]
		first := at(k.first)
		if first < 0 || k.as != nil && at(k.as) < 0 {
			continue
		}
		return "this is " + k.what + " configuration, which nuthatch cannot read; " + k.guide, first + 1
	}
	return "", 0
}

// foreignMapping says whose file a mapping is whose top-level names are another program's,
// and could be no pools, and where that can be seen.
func foreignMapping(root *yaml.Node) (msg string, at *yaml.Node) {
	names, at := make(map[string]*yaml.Node), root
	for name, body := range pairs(root) {
		names[name.Value] = body
		if name.Value == "pools" {
			at = name
		}
	}
	pools := names["pools"]
	switch {
	case isScalar(names["apiVersion"]) && isScalar(names["kind"]):
		return kubernetesObject(names)
	case hasKey(names["static_resources"], "listeners", "clusters"), hasKey(names["dynamic_resources"], "lds_config", "cds_config", "ads_config"):
		return "this is Envoy's configuration, which nuthatch cannot read; " + guideMoving, root
	case hasKey(pools, "listen", "servers"): // a pool that is called pools
		return "", nil
	case (names["route"] != nil || names["routes"] != nil) && entryHas(pools, "servers") && !entryHas(pools, "listen"):
		return "this is mcrouter's configuration, which nuthatch cannot read; " + guideMoving, root
	case pools != nil && isChart(names):
		return "these are values of the Helm chart, which makes the configuration from 'pools:' and 'process:'; a file of nuthatch's own has each name of a pool at the beginning of its line", at
	case entryHas(pools, "listen", "servers"):
		return "pools are not written below 'pools:': each name of a pool begins its line (only the values of the Helm chart have 'pools:')", at
	case entryHas(names["services"], "image", "build") && !hasKey(names["services"], "listen", "servers"):
		return "this is a file for docker compose; the configuration of nuthatch is a file of its own, which a service mounts as a volume", root
	}
	return "", nil
}

// isChart reports whether names, which have pools that are no pool, are such as values of the chart.
func isChart(names map[string]*yaml.Node) bool {
	process := names["process"]
	return process != nil && !hasKey(process, "listen", "servers") || hasKey(names["image"], "repository", "tag") || isScalar(names["replicas"])
}

// kubernetesObject says what an object of Kubernetes is, and where in it the configuration is.
func kubernetesObject(names map[string]*yaml.Node) (msg string, at *yaml.Node) {
	kind := names["kind"]
	what := "this is a " + strings.Trim(quoteKey(kind.Value), "'") + " of Kubernetes"
	for _, block := range []string{"data", "stringData"} {
		for name, text := range pairs(names[block]) {
			if !isScalar(text) || !strings.HasSuffix(name.Value, ".yml") && !strings.HasSuffix(name.Value, ".yaml") {
				continue
			}
			found := what + "; the configuration is under '" + block + ":', the text of " + quote(name.Value)
			if kind.Value == "Secret" && block == "data" {
				return found + ": decode its base64 to a file", name
			}
			return found + ": copy it to a file without its indentation", name
		}
	}
	return what + ", without a configuration: a ConfigMap has one under 'data:', as a text", kind
}

func isScalar(node *yaml.Node) bool { return node != nil && node.Kind == yaml.ScalarNode }

// hasKey reports whether a node is a mapping with one of the keys.
func hasKey(node *yaml.Node, keys ...string) bool {
	for name := range pairs(node) {
		if slices.Contains(keys, name.Value) {
			return true
		}
	}
	return false
}

// entryHas reports whether a node is a mapping, and a value in it one with one of the keys.
func entryHas(node *yaml.Node, keys ...string) bool {
	for _, val := range pairs(node) {
		if hasKey(val, keys...) {
			return true
		}
	}
	return false
}

// foreign is the fault that a text is another program's configuration, or nil. root is what
// YAML makes of it, or nil if it is no YAML.
func foreign(file string, text []byte, root *yaml.Node) *Error {
	if root == nil || root.Kind != yaml.MappingNode {
		if msg, line := foreignText(text); msg != "" {
			return &Error{File: file, Line: line, Msg: msg}
		}
		return nil
	}
	if msg, at := foreignMapping(root); msg != "" {
		return &Error{File: file, Line: at.Line, Column: at.Column, Msg: msg}
	}
	return nil
}
