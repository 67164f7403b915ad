// A stand-in for NVRTC beside the stand-in driver: it compiles nothing, as the driver has the kernels already. It only takes what those were
// made from, so that a program and a driver of two different states do not meet.

#include <cstring>
#include <string>

#define API extern "C" __attribute__((visibility("default")))
enum { SUCCESS = 0, INVALID_INPUT = 3, INVALID_OPTION = 5, COMPILATION = 6 };
static const unsigned long long sources[] = {
#include "sources.inc"
};
struct Program {
    std::string text, log;
};
// The program knows cubins by their first bytes.
static const char image[] = "\x7f" "ELF: the stand-in driver has all kernels";

API int nvrtcVersion(int* major, int* minor) {
    *major = 13;
    *minor = 0;
    return SUCCESS;
}
API const char* nvrtcGetErrorString(int result) {
    return result == SUCCESS ? "success" : "refused by the stand-in";
}
API int nvrtcCreateProgram(Program** program, const char* text, const char*, int, const char* const*, const char* const*) {
    if (!text)
        return INVALID_INPUT;
    *program = new Program{text, ""};
    return SUCCESS;
}
API int nvrtcDestroyProgram(Program** program) {
    delete *program;
    *program = nullptr;
    return SUCCESS;
}
API int nvrtcCompileProgram(Program* program, int count, const char* const* options) {
    for (int i = 0; i < count; i++)
        if (!strncmp(options[i], "--gpu-architecture=", 19) && strcmp(options[i] + 19, "sm_90")) {
            program->log = std::string("nvrtc: error: the stand-in knows sm_90 only, not ") + (options[i] + 19);
            return INVALID_OPTION;
        }
    unsigned long long hash = 0xcbf29ce484222325ull;
    for (unsigned char byte : program->text)
        hash = (hash ^ byte) * 0x100000001b3ull;
    for (unsigned long long known : sources)
        if (known == hash)
            return SUCCESS;
    program->log = "nvrtc: error: the program's kernels are not those that the stand-in driver was made from; build it again";
    return COMPILATION;
}
API int nvrtcGetProgramLogSize(Program* program, size_t* bytes) {
    *bytes = program->log.size() + 1;
    return SUCCESS;
}
API int nvrtcGetProgramLog(Program* program, char* log) {
    memcpy(log, program->log.c_str(), program->log.size() + 1);
    return SUCCESS;
}
static int size(Program*, size_t* bytes) {
    *bytes = sizeof image;
    return SUCCESS;
}
static int copy(Program*, char* to) {
    memcpy(to, image, sizeof image);
    return SUCCESS;
}
API int nvrtcGetCUBINSize(Program* program, size_t* bytes) {
    return size(program, bytes);
}
API int nvrtcGetCUBIN(Program* program, char* to) {
    return copy(program, to);
}
API int nvrtcGetPTXSize(Program* program, size_t* bytes) {
    return size(program, bytes);
}
API int nvrtcGetPTX(Program* program, char* to) {
    return copy(program, to);
}
