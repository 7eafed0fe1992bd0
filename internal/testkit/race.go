//go:build race

package testkit

// raceBuild tells that the test was built with -race; so is nuthatch, then.
const raceBuild = true
