// Kubecheck proves manifests on standard input: those of Kubernetes' own APIs decode strictly into the types of k8s.io/api, those of
// custom resources keep the schema of their CustomResourceDefinitions, which are read from the files named as arguments.
//
//	helm template … | go run . crds/*.yaml
package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structural "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes/scheme"
	sigs "sigs.k8s.io/yaml"
)

func main() {
	kinds, err := run(os.Stdin, os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "kubecheck:", err)
		os.Exit(1)
	}
	fmt.Println(strings.Join(kinds, " "))
}

// run returns the kinds of what it proved.
func run(in io.Reader, crds []string) (kinds []string, err error) {
	custom := map[schema.GroupVersionKind]*apiextensions.JSONSchemaProps{}
	for _, path := range crds {
		if err := read(path, custom); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	strict := serializer.NewCodecFactory(scheme.Scheme, serializer.EnableStrict).UniversalDeserializer()
	docs := yaml.NewYAMLReader(bufio.NewReader(in))
	for {
		doc, readErr := docs.Read()
		if errors.Is(readErr, io.EOF) {
			break
		}
		if readErr != nil {
			return nil, readErr
		}
		var meta metav1.TypeMeta
		if err := sigs.Unmarshal(doc, &meta); err != nil {
			return nil, err
		}
		if meta.Kind == "" {
			continue
		}
		gvk := schema.FromAPIVersionAndKind(meta.APIVersion, meta.Kind)
		var wrong error
		switch s, ok := custom[gvk]; {
		case ok:
			wrong = conforms(doc, s)
		case scheme.Scheme.Recognizes(gvk):
			_, _, wrong = strict.Decode(doc, nil, nil)
		default:
			wrong = errors.New("is neither Kubernetes' own nor of a CustomResourceDefinition that was given")
		}
		if wrong != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", gvk, wrong))
		}
		kinds = append(kinds, meta.Kind)
	}
	if len(kinds) == 0 {
		return nil, errors.New("there is no manifest on standard input")
	}
	return kinds, err
}

// read adds the schemas of the CustomResourceDefinitions in a file.
func read(path string, to map[schema.GroupVersionKind]*apiextensions.JSONSchemaProps) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	docs := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(raw)))
	for {
		doc, err := docs.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		var crd apiextv1.CustomResourceDefinition
		if err := sigs.Unmarshal(doc, &crd); err != nil {
			return err
		}
		for _, v := range crd.Spec.Versions {
			var s apiextensions.JSONSchemaProps
			if err := apiextv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(v.Schema.OpenAPIV3Schema, &s, nil); err != nil {
				return err
			}
			to[schema.GroupVersionKind{Group: crd.Spec.Group, Version: v.Name, Kind: crd.Spec.Names.Kind}] = &s
		}
	}
}

// conforms says what an API server would refuse in a custom resource, and what it would drop without a word.
func conforms(doc []byte, s *apiextensions.JSONSchemaProps) error {
	var object map[string]any
	if err := sigs.Unmarshal(doc, &object); err != nil {
		return err
	}
	validator, _, err := validation.NewSchemaValidator(s)
	if err != nil {
		return err
	}
	if wrong := validation.ValidateCustomResource(nil, object, validator); len(wrong) > 0 {
		return wrong.ToAggregate()
	}
	form, err := structural.NewStructural(s)
	if err != nil {
		return err
	}
	dropped := pruning.PruneWithOptions(object, form, true, structural.UnknownFieldPathOptions{TrackUnknownFieldPaths: true})
	if len(dropped) > 0 {
		slices.Sort(dropped)
		return fmt.Errorf("unknown fields: %s", strings.Join(dropped, ", "))
	}
	return nil
}
