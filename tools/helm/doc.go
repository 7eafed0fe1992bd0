// Package helm holds the tests of the chart, and names Helm as a tool: a module of its own,
// since Helm brings most of Kubernetes along. The tests call the packages that `helm lint`
// and `helm template` call: the command itself takes minutes to compile.
//
//	go -C tools/helm tool helm template shop ../../charts/nuthatch -f values.yaml
package helm
