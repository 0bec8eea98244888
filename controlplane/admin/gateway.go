package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	gateway "tidegate.dev/controlplane/admin/gateway"
	adminv1 "tidegate.dev/proto/tidegate/admin/v1"
)

// newGateway makes the REST side: the generated handlers over a connection within the process.
func newGateway(connection grpc.ClientConnInterface) (*runtime.ServeMux, error) {
	json := &lines{JSONPb: runtime.JSONPb{
		MarshalOptions:   protojson.MarshalOptions{UseProtoNames: true},
		UnmarshalOptions: protojson.UnmarshalOptions{DiscardUnknown: false},
	}}
	mux := runtime.NewServeMux(
		runtime.WithMarshalerOption(runtime.MIMEWildcard, json),
		runtime.WithIncomingHeaderMatcher(incomingHeader),
		runtime.WithOutgoingHeaderMatcher(outgoingHeader),
		runtime.WithErrorHandler(writeFailure),
		runtime.WithRoutingErrorHandler(newPaths(httpRules()).writeRoutingFailure),
		runtime.WithDisablePathLengthFallback(),
		runtime.WithDisableHTTPMethodOverride(),
		runtime.WithWriteContentLength(),
	)
	return mux, registerGateway(mux, connection)
}

func registerGateway(mux *runtime.ServeMux, connection grpc.ClientConnInterface) error {
	ctx := context.Background() // the generated functions do not use it
	err := errors.Join(
		gateway.RegisterCertificateServiceHandlerClient(ctx, mux, adminv1.NewCertificateServiceClient(connection)),
		gateway.RegisterChangeSetServiceHandlerClient(ctx, mux, adminv1.NewChangeSetServiceClient(connection)),
		gateway.RegisterBlockServiceHandlerClient(ctx, mux, adminv1.NewBlockServiceClient(connection)),
		gateway.RegisterConsumerServiceHandlerClient(ctx, mux, adminv1.NewConsumerServiceClient(connection)),
		gateway.RegisterFleetServiceHandlerClient(ctx, mux, adminv1.NewFleetServiceClient(connection)),
		gateway.RegisterIdentityServiceHandlerClient(ctx, mux, adminv1.NewIdentityServiceClient(connection)),
		gateway.RegisterKeyServiceHandlerClient(ctx, mux, adminv1.NewKeyServiceClient(connection)),
		gateway.RegisterPlanServiceHandlerClient(ctx, mux, adminv1.NewPlanServiceClient(connection)),
		gateway.RegisterTestServiceHandlerClient(ctx, mux, adminv1.NewTestServiceClient(connection)),
		gateway.RegisterPluginServiceHandlerClient(ctx, mux, adminv1.NewPluginServiceClient(connection)),
		gateway.RegisterRevisionServiceHandlerClient(ctx, mux, adminv1.NewRevisionServiceClient(connection)),
		gateway.RegisterRolloutServiceHandlerClient(ctx, mux, adminv1.NewRolloutServiceClient(connection)),
		gateway.RegisterRouteServiceHandlerClient(ctx, mux, adminv1.NewRouteServiceClient(connection)),
		gateway.RegisterSecretServiceHandlerClient(ctx, mux, adminv1.NewSecretServiceClient(connection)),
		gateway.RegisterServiceServiceHandlerClient(ctx, mux, adminv1.NewServiceServiceClient(connection)),
		gateway.RegisterStrategyServiceHandlerClient(ctx, mux, adminv1.NewStrategyServiceClient(connection)),
		gateway.RegisterTelemetryServiceHandlerClient(ctx, mux, adminv1.NewTelemetryServiceClient(connection)),
	)
	if err != nil {
		return fmt.Errorf("registering the gateway: %w", err)
	}
	return nil
}

// incomingHeader lets through what handlers read.
func incomingHeader(name string) (string, bool) {
	name = strings.ToLower(name)
	return name, slices.Contains([]string{headerIfMatch, headerIfNoneMatch, headerIdempotencyKey, headerAuthorization}, name)
}

// outgoingHeader lets through what handlers set; the request id is set by the HTTP handler already.
func outgoingHeader(name string) (string, bool) {
	return name, slices.Contains([]string{headerETag, headerRevision, headerRollout, headerReplayed}, name)
}

// lines is the JSON of this API. A stream is one object a line, and its last line may be a problem.
type lines struct {
	runtime.JSONPb
}

// StreamContentType is what a stream is sent as.
func (*lines) StreamContentType(any) string { return "application/x-ndjson" }

// Marshal writes what the gateway answers with.
func (l *lines) Marshal(value any) ([]byte, error) {
	if chunk, ok := value.(map[string]proto.Message); ok {
		if s, ok := chunk["error"].(*spb.Status); ok {
			return json.Marshal(map[string]document{"error": problemOf(status.FromProto(s).Err()).document()})
		}
	}
	return l.JSONPb.Marshal(value)
}

// NewDecoder reads one JSON object and nothing behind it. An empty body is an empty message: calls such as :pause need none.
func (l *lines) NewDecoder(r io.Reader) runtime.Decoder {
	return runtime.DecoderFunc(func(into any) error {
		body, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		if len(bytes.TrimSpace(body)) == 0 {
			return io.EOF
		}
		message, err := target(into)
		if err != nil {
			return err
		}
		return l.UnmarshalOptions.Unmarshal(body, message)
	})
}

// target is the message to decode into: the gateway gives a message, or the address of the field that holds the body.
func target(into any) (proto.Message, error) {
	if message, ok := into.(proto.Message); ok {
		return message, nil
	}
	field := reflect.ValueOf(into)
	if field.Kind() == reflect.Pointer && field.Elem().Kind() == reflect.Pointer {
		made := reflect.New(field.Elem().Type().Elem())
		if message, ok := made.Interface().(proto.Message); ok {
			field.Elem().Set(made)
			return message, nil
		}
	}
	return nil, fmt.Errorf("cannot decode a body into a %T", into)
}

// NewEncoder writes through Marshal, like JSONPb does through its own.
func (l *lines) NewEncoder(w io.Writer) runtime.Encoder {
	return runtime.EncoderFunc(func(value any) error {
		encoded, err := l.Marshal(value)
		if err != nil {
			return err
		}
		_, err = w.Write(append(encoded, l.Delimiter()...))
		return err
	})
}

// writeFailure answers with the problem that an error is.
func writeFailure(_ context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, r *http.Request, err error) {
	p := problemOf(err)
	if p.kind.slug == problemMalformed.slug && len(p.violations) == 0 {
		p = unreadable(p.detail)
	}
	writeProblem(w, r, p)
}

var (
	// position is how protojson says where: "(line 1:23): what".
	position = regexp.MustCompile(`\(line (\d+):(\d+)\):\s*(.*)$`)
	// quotedField is how it says which field.
	unknownField = regexp.MustCompile(`^unknown field "([^"]*)"`)
	typedField   = regexp.MustCompile(`^invalid value for \S+ field (\S+): `)
)

// unreadable explains what the decoder of JSON or of query parameters complained about.
func unreadable(complaint string) *problem {
	p := newProblem(problemMalformed, strings.TrimSpace(strings.TrimPrefix(strings.ReplaceAll(complaint, "\u00a0", " "), "proto:")))
	match := position.FindStringSubmatch(p.detail)
	if match == nil {
		return p
	}
	v := &adminv1.Violation{Rule: "json", Message: match[3], Line: number(match[1]), Column: number(match[2])}
	if unknown := unknownField.FindStringSubmatch(match[3]); unknown != nil {
		v.Field, v.Rule, v.Message = unknown[1], "unknown_field", "is not a field here"
	} else if typed := typedField.FindStringSubmatch(match[3]); typed != nil {
		// What was given is not repeated: it may be a secret.
		v.Field, v.Rule, v.Message = typed[1], "type", "is of another type"
		p.detail = fmt.Sprintf("line %d, column %d: %s %s", v.Line, v.Column, v.Field, v.Message)
	}
	p.violations = []*adminv1.Violation{v}
	return p
}

func number(text string) int32 {
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		return 0
	}
	return int32(n)
}
