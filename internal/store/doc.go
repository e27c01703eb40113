// Package store turns a checkpoint that is to be served into a bundle, and keeps the bundle for the next time: in a folder whose
// name has a digest of the checkpoint (the commit of a repository of the hub; path, sizes and times of a folder's files), of the
// options of the export and of the exporter's version. Processes that want the same one wait for each other. It serves nothing.
package store
