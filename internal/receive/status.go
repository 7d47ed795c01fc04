package receive

import (
	"net/http"

	"tocsin"
)

// Status returns the HTTP status of a refusal. It is the one place where kinds
// become statuses.
func (refused Refusal) Status() int {
	if refused.Allow != "" {
		return http.StatusMethodNotAllowed
	}
	if len(refused.Errors) == 0 {
		return http.StatusInternalServerError
	}
	switch refused.Errors[0].Kind {
	case tocsin.Malformed:
		return http.StatusBadRequest
	case tocsin.Unauthenticated:
		return http.StatusUnauthorized
	case tocsin.Forbidden:
		return http.StatusForbidden
	case tocsin.NotFound:
		return http.StatusNotFound
	case tocsin.NotAcceptable:
		return http.StatusNotAcceptable
	case tocsin.Conflict:
		return http.StatusConflict
	case tocsin.TooLarge:
		return http.StatusRequestEntityTooLarge
	case tocsin.Unsupported:
		return http.StatusUnsupportedMediaType
	case tocsin.Invalid:
		return http.StatusUnprocessableEntity
	case tocsin.TooMany:
		return http.StatusTooManyRequests
	case tocsin.Busy:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}
