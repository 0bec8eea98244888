// Command protoc-gen-openapi is a protoc plugin that writes one OpenAPI 3.1 document for the whole admin API.
//
// It lets protoc-gen-openapiv3 do the mapping of google.api.http rules and adds what that plugin does not know about
// this API: JSON names are the names of the fields, all files make one document, and every operation carries the
// headers, the security scheme and the error document that the server uses. The output depends on the input alone.
//
// Options: generator=PATH of protoc-gen-openapiv3 (default: found on PATH), output=NAME of the document.
package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/pluginpb"
)

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "protoc-gen-openapi:", err)
		os.Exit(1)
	}
}

func run(in io.Reader, out io.Writer) error {
	input, err := io.ReadAll(in)
	if err != nil {
		return fmt.Errorf("reading the request: %w", err)
	}
	request := new(pluginpb.CodeGeneratorRequest)
	if err := proto.Unmarshal(input, request); err != nil {
		return fmt.Errorf("decoding the request: %w", err)
	}
	response, err := generate(request)
	if err != nil {
		response = &pluginpb.CodeGeneratorResponse{Error: proto.String(err.Error())}
	}
	encoded, err := proto.Marshal(response)
	if err != nil {
		return fmt.Errorf("encoding the response: %w", err)
	}
	_, err = out.Write(encoded)
	return err
}

// options are what the parameter of the request says.
type options struct {
	generator string
	output    string
}

func parseOptions(parameter string) (options, error) {
	o := options{generator: "protoc-gen-openapiv3", output: "openapi.json"}
	for pair := range strings.SplitSeq(parameter, ",") {
		name, value, _ := strings.Cut(pair, "=")
		switch name {
		case "":
		case "generator":
			o.generator = value
		case "output":
			o.output = value
		default:
			return o, fmt.Errorf("unknown option %q", name)
		}
	}
	return o, nil
}

func generate(request *pluginpb.CodeGeneratorRequest) (*pluginpb.CodeGeneratorResponse, error) {
	o, err := parseOptions(request.GetParameter())
	if err != nil {
		return nil, err
	}
	useFieldNames(request.GetProtoFile())
	fragments, err := runGenerator(o.generator, request)
	if err != nil {
		return nil, err
	}
	document, err := merge(fragments)
	if err != nil {
		return nil, err
	}
	shortenNames(document)
	simplifyOneofs(document)
	addRules(document, request.GetProtoFile())
	describe(document)
	content, err := encode(document)
	if err != nil {
		return nil, err
	}
	return &pluginpb.CodeGeneratorResponse{
		SupportedFeatures: proto.Uint64(uint64(pluginpb.CodeGeneratorResponse_FEATURE_PROTO3_OPTIONAL)),
		File:              []*pluginpb.CodeGeneratorResponse_File{{Name: proto.String(o.output), Content: proto.String(content)}},
	}, nil
}

// runGenerator asks protoc-gen-openapiv3 for one document a file.
func runGenerator(path string, request *pluginpb.CodeGeneratorRequest) ([]string, error) {
	request.Parameter = proto.String("disable_default_errors=true")
	input, err := proto.Marshal(request)
	if err != nil {
		return nil, fmt.Errorf("encoding the generator's request: %w", err)
	}
	var output, complaint bytes.Buffer
	command := exec.Command(path)
	command.Stdin, command.Stdout, command.Stderr = bytes.NewReader(input), &output, &complaint
	if err := command.Run(); err != nil {
		return nil, fmt.Errorf("running %s: %w: %s", path, err, complaint.String())
	}
	response := new(pluginpb.CodeGeneratorResponse)
	if err := proto.Unmarshal(output.Bytes(), response); err != nil {
		return nil, fmt.Errorf("decoding the generator's response: %w", err)
	}
	if response.GetError() != "" {
		return nil, fmt.Errorf("%s: %s", path, response.GetError())
	}
	fragments := make([]string, 0, len(response.GetFile()))
	for _, file := range response.GetFile() {
		fragments = append(fragments, file.GetContent())
	}
	return fragments, nil
}
