// Package onnx writes ONNX models over protobuf's wire encoding: nodes, attributes, values, and initializers that are
// inline where they are small and in an external data file where they are weights. It checks nothing of ONNX's own
// rules: models/bundle reads back what is written, and ONNX Runtime loads it.
package onnx
