// Package export turns a Hugging Face checkpoint of a looped model into a bundle: three ONNX graphs over one external
// data file. Weights stream tensor by tensor, so the memory it takes is that of a few rows.
//
// A family is one file: it reads its config strictly (a key that changes the math and is not understood is refused by
// name), says what the bundle's manifest holds, and builds the three graphs from the shared parts: linear, norm,
// attention, mlp, rope. It trusts nothing of the folder it reads and never runs anything from it.
package export
