package config

import (
	"strings"
	"testing"
)

func TestForeignFiles(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"Envoy", "static_resources:\n  listeners:\n  - name: redis\nadmin: {address: x}\n", "f:1: this is Envoy's configuration, which nuthatch cannot read; COMING-FROM.md"},
		{"Envoy with dynamic clusters", "node: {id: a}\ndynamic_resources:\n  cds_config: {path: /c}\n", "f:1: this is Envoy's"},
		{"Envoy in JSON that YAML cannot read", "{\n\t\"static_resources\": {\n\t\t\"clusters\": [\n", "f:2: this is Envoy's"},
		{"predixy", "## predixy\nName PredixyExample\nWorkerThreads 1\nMaxMemory 0\nInclude auth.conf\n", "f:3: this is predixy's"},
		{"predixy's servers", "StandaloneServerPool {\n    Databases 16\n    Hash crc16\n    HashTag \"{}\"\n}\n", "f:1: this is predixy's"},
		{"predixy's access control", "# x\nAuthority {\n    Auth \"#a complex password#\" {\n        Mode admin\n    }\n}\n", "f:2: this is predixy's"},
		{"mcrouter", `{"pools": {"A": {"servers": ["127.0.0.1:5001"]}}, "route": "PoolRoute|A"}`, "f:1: this is mcrouter's"},
		{"mcrouter with comments", "// x\n{\n  \"pools\": {\"A\": {\"servers\": []}},\n  /* y */ \"routes\": []\n}\n", "f:3: this is mcrouter's"},
		{"HAProxy", "global\n    maxconn 4096\n\nfrontend redis\n    bind *:6379\n    default_backend redis\n", "f:4: this is HAProxy's"},
		{"HAProxy's listen, lines that end as on Windows", "listen redis\r\n    bind *:6379\r\n", "f:1: this is HAProxy's"},
		{"nginx", "stream {\n  upstream redis {\n    server 127.0.0.1:6379;\n  }\n}\n", "f:1: this is nginx's"},
		{"stunnel", "; x\n[redis]\naccept = 6379\nconnect = redis:6380\n", "f:3: this is stunnel's configuration, which nuthatch cannot read; FROM-STUNNEL.md"},
		{"codis", "# Set Codis Product Name/Auth.\nproduct_name = \"demo\"\nproduct_auth = \"\"\nproxy_addr = \"0.0.0.0:19000\"\n", "f:2: this is codis' configuration, which nuthatch cannot read; COMING-FROM.md"},
		{"codis without a comment", "product_name = \"demo\"\nadmin_addr = \"0.0.0.0:11080\"\n", "f:1: this is codis'"},
		{"overlord", "[[clusters]]\nname = \"a\"\nhash_method = \"fnv1a_64\"\nlisten_addr = \"0.0.0.0:1\"\nservers = [\n  \"127.0.0.1:6379:1 r\",\n]\n", "f:1: this is overlord's configuration, which nuthatch cannot read; COMING-FROM.md"},
		{"overlord's own settings", "pprof = \"0.0.0.0:2110\"\n\n[log] # where to\nstdout = true\n", "f:3: this is a TOML or INI configuration, which nuthatch cannot read; its own is YAML: a pool's name with a colon"},
		{"sections of TOML", "title = \"x\"\n[servers.\"a b\"]\nports = [ 1, 2 ]\n", "f:2: this is a TOML or INI"},
		{"a unit of systemd", "[Unit]\nDescription=a proxy\n[Service]\nExecStart=/usr/bin/nuthatch -c /etc/n.yml\n", "f:1: this is a TOML or INI"},
		{"redis-server", "bind 127.0.0.1 -::1\nport 6379\nsave 3600 1\n", "f:1: this is redis-server's configuration, which nuthatch cannot read; write the server's address below 'servers' of a pool"},
		{"a sentinel", "port 26379\nsentinel monitor mymaster 127.0.0.1 6379 2\n", "f:2: this is a sentinel's configuration, which nuthatch cannot read; SENTINEL.md"},
		{"a ConfigMap", "apiVersion: v1\nkind: ConfigMap\ndata:\n  other: x\n  nuthatch.yml: |\n    a:\n      redis: true\n", "f:5: this is a ConfigMap of Kubernetes; the configuration is under 'data:', the text of 'nuthatch.yml': copy it to a file without its indentation"},
		{"the second of two objects", "apiVersion: v1\nkind: Service\n---\napiVersion: v1\nkind: ConfigMap\n", "f:2: this is a Service of Kubernetes, without a configuration: a ConfigMap has one under 'data:', as a text"},
		{"a Secret", "apiVersion: v1\nkind: Secret\ndata:\n  nuthatch.yml: YQ==\n", "f:4: this is a Secret of Kubernetes; the configuration is under 'data:', the text of 'nuthatch.yml': decode its base64 to a file"},
		{"a Secret of texts", "apiVersion: v1\nkind: Secret\nstringData:\n  a.yaml: 'x'\n", "under 'stringData:', the text of 'a.yaml': copy it"},
		{"docker compose", "version: '3.8'\nservices:\n  redis: {image: redis:7}\n", "f:1: this is a file for docker compose; the configuration of nuthatch is a file of its own"},
		{"nginx with blocks on one line", "events { }\nstream { server { listen 1; proxy_pass 127.0.0.1:2; } }\n", "f:1: this is nginx's"},
		{"a certificate", "Bag Attributes\n-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n", "f:2: this is a certificate or a key in PEM, and no configuration"},
		{"the chart's own values", "# x\npools: {}\nprocess:\n  threads: 2\nimage:\n  repository: nuthatch\nreplicas: 3\n", "f:2: these are values of the Helm chart"},
		{"values of the chart, with pools that have no listen", "pools:\n  a:\n    redis: true\nreplicas: 3\n", "f:1: these are values of the Helm chart"},
		{"values without pools", "pools:\nimage: {tag: x}\n", "f:1: these are values of the Helm chart"},
		{"pools without listen below pools", "pools:\n  a:\n    servers: [127.0.0.1:2:1]\n", "f:1: pools are not written below 'pools:'"},
		{"the chart's values", "# x\npools:\n  a:\n    listen: 127.0.0.1:1\nreplicas: 2\n", "f:2: these are values of the Helm chart"},
		{"pools below pools", "# x\npools:\n  a:\n    listen: 127.0.0.1:1\n", "f:2: pools are not written below 'pools:': each name of a pool begins its line"},
	} {
		_, err := Parse("f", []byte(tt.text))
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %q alone", tt.name, err, tt.want)
		}
	}
}

// TestOwnFilesAreNotForeign reads pools that are called as other programs' blocks are.
func TestOwnFilesAreNotForeign(t *testing.T) {
	body := ":\n  listen: 127.0.0.1:PORT\n  servers: [127.0.0.1:9:1]\n  health_check: {interval: 1s}\n"
	var text strings.Builder
	for i, name := range []string{"apiVersion", "kind", "static_resources", "dynamic_resources", "pools", "route", "routes", "services", "frontend", "stream", "data"} {
		text.WriteString(name + strings.Replace(body, "PORT", string(rune('1'+i%9))+"00"+string(rune('0'+i/9)), 1))
	}
	if _, err := Parse("f", []byte(text.String())); err != nil {
		t.Error(err)
	}
	for _, text := range []string{
		"a:\n  listen 127.0.0.1:1\n  servers:\n  - 127.0.0.1:2:1\n",
		"a:\n\tlisten: 127.0.0.1:1\n",
		"a:\n  servers: [127.0.0.1:2:1\n  image: x\n",
		"frontend:\n  bind: 127.0.0.1:1\nservices: x\n",
		"port 6379\n",
		"a:\n  listen = 127.0.0.1:1\n  servers:\n  [127.0.0.1:2:1]\n",
		"a:\n  servers: [\n    127.0.0.1:2:1\n",
		"listen = 127.0.0.1:1\n",
	} {
		if _, err := Parse("f", []byte(text)); err == nil || strings.Contains(err.Error(), "this is ") {
			t.Errorf("%q: %v, want the fault of a file of nuthatch's own", text, err)
		}
	}
}

// TestIncludedForeignFile includes a ConfigMap in place of a file.
func TestIncludedForeignFile(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, dir+"/cm.yml", []byte("apiVersion: v1\nkind: ConfigMap\ndata: {}\n"))
	writeFile(t, dir+"/main.yml", []byte("nuthatch: {include: cm.yml}\n"))
	if _, err := Load(dir + "/main.yml"); err == nil || !strings.Contains(err.Error(), dir+"/cm.yml:2: this is a ConfigMap of Kubernetes") {
		t.Errorf("%v, want the included file's name and what it is", err)
	}
}
