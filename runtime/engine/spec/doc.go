// Package spec is what the engines of both kinds of bundles share: options and their defaults, the limits and page
// shapes that follow from them and a manifest, the names of KV policies, and the checks of a batch before a native call.
// It is arithmetic on manifests; it opens nothing and runs nothing.
package spec
