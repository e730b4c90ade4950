// Package pregon is the root of the module, and holds nothing but tests of what concerns the whole of it: which package
// may know which (arrows_test.go), and what the compose file promises (compose_test.go).
package pregon
