// A stand-in for the CUDA driver: the calls that cudarc and the backend make, done on the CPU by the project's own kernels on device.h. So the
// backend's host code runs on a machine without a GPU. Everything happens within the call that asks for it, one call at a time: what is
// missing between two streams does not show. What does show: accesses outside of a buffer or of one that was freed (each buffer ends at a
// closed page, and no address is given twice), fresh memory that is read (it is NaN), barriers that not all threads reach, bad handles, and
// what may not be captured. A fault stays, as on a device: each later call answers with it.
//
// Environment: OPENLEDGER_DRIVER_FAIL_ALLOC=N lets the N-th allocation of device memory fail, once. OPENLEDGER_DRIVER_LOG=FILE appends a line
// of counts at the process's end. OPENLEDGER_DRIVER_MEMORY=BYTES is the device's memory, else 4 GiB. BACKWARDS as in device.h.

#include "device.h"
#include "kernels.inc"
#include "names.inc"

#include <atomic>
#include <chrono>
#include <csetjmp>
#include <csignal>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <tuple>
#include <type_traits>
#include <unistd.h>

typedef unsigned long long Address;
#define API extern "C" __attribute__((visibility("default"))) int

// Answers, with the driver's numbers.
#define EACH_RESULT(X)                     \
    X(SUCCESS, 0)                          \
    X(ERROR_INVALID_VALUE, 1)              \
    X(ERROR_OUT_OF_MEMORY, 2)              \
    X(ERROR_NOT_INITIALIZED, 3)            \
    X(ERROR_INVALID_DEVICE, 101)           \
    X(ERROR_INVALID_IMAGE, 200)            \
    X(ERROR_INVALID_CONTEXT, 201)          \
    X(ERROR_INVALID_HANDLE, 400)           \
    X(ERROR_ILLEGAL_STATE, 401)            \
    X(ERROR_NOT_FOUND, 500)                \
    X(ERROR_NOT_READY, 600)                \
    X(ERROR_ILLEGAL_ADDRESS, 700)          \
    X(ERROR_LAUNCH_TIMEOUT, 702)           \
    X(ERROR_HARDWARE_STACK_ERROR, 714)     \
    X(ERROR_MISALIGNED_ADDRESS, 716)       \
    X(ERROR_NOT_SUPPORTED, 801)            \
    X(ERROR_STREAM_CAPTURE_UNSUPPORTED, 900) \
    X(ERROR_STREAM_CAPTURE_INVALIDATED, 901) \
    X(ERROR_STREAM_CAPTURE_MERGE, 902)     \
    X(ERROR_STREAM_CAPTURE_UNMATCHED, 903) \
    X(ERROR_STREAM_CAPTURE_UNJOINED, 904)  \
    X(ERROR_STREAM_CAPTURE_ISOLATION, 905) \
    X(ERROR_STREAM_CAPTURE_IMPLICIT, 906)  \
    X(ERROR_CAPTURED_EVENT, 907)           \
    X(ERROR_STREAM_CAPTURE_WRONG_THREAD, 908)
enum Result {
#define X(name, number) name = number,
    EACH_RESULT(X)
#undef X
};

// One call at a time. A thread that dies with the process may hold it, so it is never destroyed.
static std::recursive_mutex& mutex = *new std::recursive_mutex;
static bool initialised = false;
// The fault that stays.
static int lost = SUCCESS;
#define ENTER                                            \
    std::lock_guard<std::recursive_mutex> guard(mutex);  \
    if (!initialised)                                    \
        return ERROR_NOT_INITIALIZED;                    \
    if (lost)                                            \
        return lost;

static unsigned long long number_of(const char* name, unsigned long long otherwise) {
    const char* text = getenv(name);
    return text && *text ? strtoull(text, nullptr, 10) : otherwise;
}

static struct {
    unsigned long long launches, recorded, graphs, graph_launches, graph_kernels, allocations, copies_to_device, copies_from_device;
} counts;

// Memory

static const size_t CLOSED = 4096;
// A process may have about 65,000 mappings, and a buffer with a closed page behind it is two.
static const size_t MOST_CLOSED = 25000;
struct Buffer {
    char* pages;
    size_t room, bytes;
};
// By their start. Freed ones are remembered for a fault's message.
static std::map<Address, Buffer> buffers, freed;
static std::map<void*, size_t> pinned;
static size_t bytes_now = 0;
static size_t device_memory() {
    static const size_t bytes = number_of("OPENLEDGER_DRIVER_MEMORY", 4ull << 30);
    return bytes;
}

// Addresses are handed out one after another and never again: what points into a freed buffer points at a closed page.
static char* addresses(size_t bytes) {
    static char *next = nullptr, *end = nullptr;
    for (size_t room = 1ull << 44; !next && room >= 1ull << 36; room >>= 1) {
        void* at = mmap(nullptr, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (at != MAP_FAILED) {
            next = (char*)at;
            end = next + room;
        }
    }
    if (!next || bytes > (size_t)(end - next))
        return nullptr;
    next += bytes;
    return next - bytes;
}

static int take(Address* to, size_t bytes) {
    static unsigned long long asked = 0;
    static const unsigned long long failing = number_of("OPENLEDGER_DRIVER_FAIL_ALLOC", 0);
    if (!to || !bytes)
        return ERROR_INVALID_VALUE;
    if (++asked == failing)
        return ERROR_OUT_OF_MEMORY;
    if (bytes > device_memory() || bytes_now > device_memory() - bytes)
        return ERROR_OUT_OF_MEMORY;
    size_t even = (bytes + 15) & ~(size_t)15, room = (even + CLOSED - 1) & ~(CLOSED - 1);
    char* pages = addresses(room + (buffers.size() < MOST_CLOSED ? CLOSED : 0));
    if (!pages || mprotect(pages, room, PROT_READ | PROT_WRITE))
        return ERROR_OUT_OF_MEMORY;
    memset(pages, 0xff, room);
    *to = (Address)(pages + room - even);
    buffers[*to] = {pages, room, bytes};
    bytes_now += bytes;
    counts.allocations++;
    return SUCCESS;
}

// Whether the bytes beside a buffer on its own pages are as they were.
static bool untouched(Address at, const Buffer& b) {
    const char *from = (char*)at, *end = b.pages + b.room;
    for (const char* p = b.pages; p < end; p == from ? p += b.bytes : p++)
        if (p != from && *p != (char)0xff)
            return false;
    return true;
}

static int give(Address at) {
    if (!at)
        return SUCCESS;
    auto found = buffers.find(at);
    if (found == buffers.end())
        return ERROR_INVALID_VALUE;
    Buffer b = found->second;
    if (!untouched(at, b)) {
        fprintf(stderr, "stand-in driver: something wrote beside a buffer of %zu bytes at %#llx\n", b.bytes, at);
        lost = ERROR_ILLEGAL_ADDRESS;
    }
    mmap(b.pages, b.room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
    bytes_now -= b.bytes;
    freed[at] = b;
    if (freed.size() > 100000)
        freed.erase(freed.begin());
    buffers.erase(found);
    return lost;
}

// Whether all these bytes lie in one buffer.
static bool within(Address at, size_t bytes) {
    auto after = buffers.upper_bound(at);
    if (after == buffers.begin())
        return false;
    auto& [start, b] = *--after;
    return at - start <= b.bytes && bytes <= b.bytes - (at - start);
}

// Kernels

struct Kernel {
    const char* name;
    int most_threads;
    // Takes the arguments from where they lie, and gives what runs the kernel with them.
    std::function<void()> (*bind)(Dim grid, int threads, void** arguments);
};
template <class F>
struct Signature;
template <class... A>
struct Signature<void(A...)> {
    typedef std::tuple<A...> Arguments;
};
template <class Held, class F>
static std::function<void()> bind(F kernel, Dim grid, int threads, void** arguments) {
    Held held;
    size_t i = 0;
    std::apply([&](auto&... each) { (memcpy((void*)&each, arguments[i++], sizeof each), ...); }, held);
    return [=] { launch(grid, threads, [&] { std::apply(kernel, held); }); };
}
static const Kernel kernels[] = {
#define X(space, kernel, threads)                                                                                           \
    {#kernel, threads, [](Dim grid, int threads_, void** arguments) {                                                       \
         auto call = [](auto... each) { space::kernel(each...); };                                                          \
         return bind<Signature<decltype(space::kernel)>::Arguments>(call, grid, threads_, arguments);                       \
     }},
    EACH_KERNEL(X)
#undef X
};

// Dynamic shared memory ends at a closed page too, wherever it begins.
static const size_t MOST_SHARED = 232448, SHARED_UNASKED = 49152;
static char* shared_end() {
    static char* end = [] {
        size_t room = (MOST_SHARED + CLOSED - 1) & ~(CLOSED - 1);
        char* at = (char*)mmap(nullptr, room + CLOSED, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        mprotect(at + room, CLOSED, PROT_NONE);
        return at + room;
    }();
    return end;
}

static sigjmp_buf out_of_kernel;
static std::atomic<bool> in_kernel{false};
static std::thread::id kernel_thread;
static struct sigaction before_segv, before_bus;
static void* fault_at;
static int fault_code;
static void faulted(int signal, siginfo_t* info, void*) {
    if (in_kernel && std::this_thread::get_id() == kernel_thread) {
        in_kernel = false;
        fault_at = info->si_addr;
        fault_code = info->si_code;
        siglongjmp(out_of_kernel, 1);
    }
    // Not a kernel's: as if nobody had looked.
    sigaction(signal, signal == SIGSEGV ? &before_segv : &before_bus, nullptr);
}

static void describe(const char* name) {
    Address at = (Address)fault_at;
    fprintf(stderr, "stand-in driver: %s, block (%d, %d, %d), thread %d: ", name, blockIdx.x, blockIdx.y, blockIdx.z, threadIdx.x);
    auto near = [&](std::map<Address, Buffer>& all) -> std::pair<const Address, Buffer>* {
        for (auto& one : all)
            if (fault_at >= one.second.pages && fault_at < one.second.pages + one.second.room + CLOSED)
                return &one;
        return nullptr;
    };
    if (fault_code == SI_KERNEL)
        fprintf(stderr, "an address that is not aligned, or none at all\n");
    else if (at >= (Address)shared_end() && at < (Address)shared_end() + CLOSED)
        fprintf(stderr, "%lld bytes past the end of %zu bytes of dynamic shared memory\n", (long long)(at - (Address)shared_end()), dynamic_bytes);
    else if (auto* one = near(buffers))
        fprintf(stderr, "%lld bytes past the end of a buffer of %zu bytes\n", (long long)(at - one->first - one->second.bytes), one->second.bytes);
    else if (auto* one = near(freed))
        fprintf(stderr, "byte %lld of a buffer of %zu bytes that was freed\n", (long long)(at - one->first), one->second.bytes);
    else
        fprintf(stderr, "nothing at %#llx\n", at);
}

static int run_kernel(const char* name, size_t shared, const std::function<void()>& call) {
    dynamic_bytes = shared;
    dynamic_shared = shared_end() - ((shared + 15) & ~(size_t)15);
    kernel_thread = std::this_thread::get_id();
    // Whoever started the process may have set handlers since.
    struct sigaction own = {};
    own.sa_sigaction = faulted;
    own.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK;
    sigaction(SIGSEGV, &own, &before_segv);
    sigaction(SIGBUS, &own, &before_bus);
    int why = sigsetjmp(out_of_kernel, 0);
    if (!why) {
        in_kernel = true;
        call();
        in_kernel = false;
    }
    sigaction(SIGSEGV, &before_segv, nullptr);
    sigaction(SIGBUS, &before_bus, nullptr);
    if (why == 1) {
        describe(name);
        lost = fault_code == SI_KERNEL ? ERROR_MISALIGNED_ADDRESS : ERROR_ILLEGAL_ADDRESS;
    } else if (why == 2) {
        fprintf(stderr, "stand-in driver: %s, block (%d, %d, %d): threads wait for others that never come\n", name, blockIdx.x, blockIdx.y,
                blockIdx.z);
        lost = ERROR_LAUNCH_TIMEOUT;
    }
    return lost;
}

// Handles

struct Context_ {
    int retained = 0;
};
static Context_ primary;
static thread_local Context_* bound = nullptr;
#define ENTER_CONTEXT \
    ENTER             \
    if (!bound)       \
        return ERROR_INVALID_CONTEXT;

enum Kind { KERNEL_NODE = 0, COPY_NODE = 1, SET_NODE = 2, HOST_NODE = 3 };
struct Node {
    Kind kind;
    std::function<int()> run;
};
struct Stream;
enum Mode { GLOBAL = 0, OWN_THREAD = 1, RELAXED = 2 };
struct Capture {
    unsigned long long id;
    Mode mode;
    std::thread::id thread;
    Stream* origin;
    bool broken = false;
    std::vector<std::unique_ptr<Node>> nodes;
    // Other streams that were drawn in: how much they did, and how much of it somebody waits for.
    struct Branch {
        unsigned long long done = 1, joined = 0;
    };
    std::map<Stream*, Branch> branches;
};
struct Stream {
    bool blocking;
    std::shared_ptr<Capture> capture;
};
struct Event {
    bool recorded = false;
    std::shared_ptr<Capture> capture;
    Stream* stream = nullptr;
    unsigned long long done = 0;
    std::chrono::steady_clock::time_point at;
};
struct Function;
struct Module {
    std::map<std::string, std::unique_ptr<Function>> functions;
};
struct Function {
    const Kernel* kernel;
    int most_dynamic = SHARED_UNASKED;
};
// A graph's nodes serve what is made of it too.
struct Graph {
    std::vector<std::shared_ptr<Node>> nodes;
};
struct Executable {
    std::vector<std::shared_ptr<Node>> nodes;
};
template <class T>
static std::set<T*>& all() {
    static auto& handles = *new std::set<T*>;
    return handles;
}
template <class T>
static T* made() {
    T* one = new T();
    all<T>().insert(one);
    return one;
}
template <class T>
static bool known(T* handle) {
    return all<T>().count(handle) != 0;
}
template <class T>
static int dropped(T* handle) {
    if (!all<T>().erase(handle))
        return ERROR_INVALID_HANDLE;
    delete handle;
    return SUCCESS;
}
// The null stream and the two other names it goes by.
static Stream* stream_of(Stream* handle) {
    static auto* standard = new Stream{true, nullptr};
    if ((size_t)handle <= 2)
        return standard;
    return known(handle) ? handle : nullptr;
}
static std::set<std::shared_ptr<Capture>>& captures = *new std::set<std::shared_ptr<Capture>>;
static thread_local Mode thread_mode = GLOBAL;

#define STREAM(s)                    \
    s = stream_of(s);                \
    if (!s)                          \
        return ERROR_INVALID_HANDLE;

// What a capturing stream cannot take: the capture is worth nothing after it.
static int refused(Stream* s) {
    if (!s->capture)
        return SUCCESS;
    s->capture->broken = true;
    return ERROR_STREAM_CAPTURE_UNSUPPORTED;
}
#define NOT_CAPTURED(s)         \
    if (int r = refused(s)) \
        return r;

// What waits for the whole device, or may: refused as the captures' modes have it, and what waits for blocking streams whenever one captures.
static int unsafe(bool waits_for_streams = false) {
    int answer = SUCCESS;
    for (auto& c : captures) {
        bool own = c->thread == std::this_thread::get_id();
        bool bad = c->mode != RELAXED && thread_mode != RELAXED && (own || (c->mode == GLOBAL && thread_mode == GLOBAL));
        if (waits_for_streams && c->origin->blocking) {
            c->broken = true;
            answer = ERROR_STREAM_CAPTURE_IMPLICIT;
        } else if (bad) {
            c->broken = true;
            answer = ERROR_STREAM_CAPTURE_UNSUPPORTED;
        }
    }
    return answer;
}
#define UNSAFE(...)                   \
    if (int r = unsafe(__VA_ARGS__)) \
        return r;

// Does it now, or notes it where the stream captures.
static int put(Stream* s, Kind kind, std::function<int()> run) {
    if (!s->capture)
        return run();
    Capture& c = *s->capture;
    if (c.broken)
        return ERROR_STREAM_CAPTURE_INVALIDATED;
    c.nodes.emplace_back(new Node{kind, std::move(run)});
    if (auto branch = c.branches.find(s); branch != c.branches.end())
        branch->second.done++;
    return SUCCESS;
}

// The process's end

static void write_log() {
    const char* path = getenv("OPENLEDGER_DRIVER_LOG");
    FILE* file = path && *path ? fopen(path, "a") : nullptr;
    if (!file)
        return;
    fprintf(file,
            "{\"launches\": %llu, \"recorded\": %llu, \"graphs\": %llu, \"graph_launches\": %llu, \"graph_kernels\": %llu, "
            "\"allocations\": %llu, \"bytes_now\": %zu, \"copies_to_device\": %llu, \"copies_from_device\": %llu}\n",
            counts.launches, counts.recorded, counts.graphs, counts.graph_launches, counts.graph_kernels, counts.allocations, bytes_now,
            counts.copies_to_device, counts.copies_from_device);
    fclose(file);
}

// Devices and contexts

API cuInit(unsigned) {
    std::lock_guard<std::recursive_mutex> guard(mutex);
    if (!initialised) {
        initialised = true;
        stuck = [] { siglongjmp(out_of_kernel, 2); };
        atexit(write_log);
    }
    return SUCCESS;
}
API cuDriverGetVersion(int* version) {
    *version = 13000;
    return SUCCESS;
}
API cuGetErrorName(int error, const char** name) {
    switch (error) {
#define X(name_, number)              \
    case number:                      \
        *name = "CUDA_" #name_;       \
        return SUCCESS;
        EACH_RESULT(X)
#undef X
    }
    *name = nullptr;
    return ERROR_INVALID_VALUE;
}
API cuGetErrorString(int error, const char** text) {
    return cuGetErrorName(error, text);
}
API cuDeviceGetCount(int* count) {
    ENTER
    *count = 1;
    return SUCCESS;
}
API cuDeviceGet(int* device, int ordinal) {
    ENTER
    if (ordinal)
        return ERROR_INVALID_DEVICE;
    *device = 0;
    return SUCCESS;
}
API cuDeviceGetName(char* name, int length, int) {
    ENTER
    snprintf(name, length, "stand-in on the CPU");
    return SUCCESS;
}
API cuDeviceGetUuid_v2(char* uuid, int) {
    ENTER
    memset(uuid, 0, 16);
    return SUCCESS;
}
API cuDeviceTotalMem_v2(size_t* bytes, int) {
    ENTER
    *bytes = device_memory();
    return SUCCESS;
}
API cuDeviceGetAttribute(int* value, int attribute, int device) {
    ENTER
    if (device)
        return ERROR_INVALID_DEVICE;
    static const std::map<int, int> known = {
        {1, 1024},  // threads of a block, and its sides
        {2, 1024},        {3, 1024},
        {4, 64},          {5, 2147483647},  // a grid's sides
        {6, 65535},       {7, 65535},
        {8, (int)SHARED_UNASKED},
        {10, 32},         // a warp
        {12, 65536},      // registers of a block
        {16, 2},          // multiprocessors
        {31, 1},          // kernels beside each other
        {38, 1 << 20},    // the second cache
        {39, 2048},       // threads of a multiprocessor
        {40, 1},          // copying beside kernels
        {41, 1},          // one address space
        {75, 9},          // compute capability
        {76, 0},          {81, 233472},  // shared memory of a multiprocessor
        {82, 65536},      {97, (int)MOST_SHARED},
        {106, 32},        // blocks of a multiprocessor
        {115, 1},         // memory pools
    };
    auto found = known.find(attribute);
    *value = found == known.end() ? 0 : found->second;
    return SUCCESS;
}
API cuDevicePrimaryCtxRetain(void** context, int device) {
    ENTER
    if (device)
        return ERROR_INVALID_DEVICE;
    primary.retained++;
    *context = &primary;
    return SUCCESS;
}
API cuDevicePrimaryCtxRelease_v2(int) {
    ENTER
    if (!primary.retained)
        return ERROR_INVALID_CONTEXT;
    primary.retained--;
    return SUCCESS;
}
API cuCtxGetCurrent(void** context) {
    ENTER
    *context = bound;
    return SUCCESS;
}
API cuCtxSetCurrent(void* context) {
    ENTER
    if (context && context != &primary)
        return ERROR_INVALID_CONTEXT;
    bound = (Context_*)context;
    return SUCCESS;
}
API cuCtxGetDevice(int* device) {
    ENTER_CONTEXT
    *device = 0;
    return SUCCESS;
}
API cuCtxSetFlags(unsigned) {
    ENTER_CONTEXT
    return SUCCESS;
}
API cuCtxGetStreamPriorityRange(int* least, int* greatest) {
    ENTER_CONTEXT
    if (least)
        *least = 0;
    if (greatest)
        *greatest = -5;
    return SUCCESS;
}
API cuCtxSynchronize() {
    ENTER_CONTEXT
    // A device is never waited for while any of its streams captures.
    for (auto& c : captures)
        c->broken = true;
    return captures.empty() ? SUCCESS : ERROR_STREAM_CAPTURE_UNSUPPORTED;
}

// Memory pools: there is one.

static std::map<int, unsigned long long> pool_values;
API cuDeviceGetDefaultMemPool(void** pool, int) {
    ENTER
    *pool = &pool_values;
    return SUCCESS;
}
API cuDeviceGetMemPool(void** pool, int device) {
    return cuDeviceGetDefaultMemPool(pool, device);
}
// The first three values are whole numbers of 32 bits, the others of 64.
API cuMemPoolSetAttribute(void* pool, int attribute, void* value) {
    ENTER
    if (pool != &pool_values)
        return ERROR_INVALID_HANDLE;
    unsigned long long to = 0;
    memcpy(&to, value, attribute <= 3 ? 4 : 8);
    pool_values[attribute] = to;
    return SUCCESS;
}
API cuMemPoolGetAttribute(void* pool, int attribute, void* value) {
    ENTER
    if (pool != &pool_values)
        return ERROR_INVALID_HANDLE;
    // Reserved and used, now: 5 and 7.
    unsigned long long is = attribute == 5 || attribute == 7 ? bytes_now : pool_values[attribute];
    memcpy(value, &is, attribute <= 3 ? 4 : 8);
    return SUCCESS;
}
API cuMemPoolTrimTo(void* pool, size_t) {
    ENTER
    return pool == &pool_values ? SUCCESS : ERROR_INVALID_HANDLE;
}

// Streams and events

API cuStreamCreate(Stream** stream, unsigned flags) {
    ENTER_CONTEXT
    *stream = made<Stream>();
    (*stream)->blocking = !(flags & 1);
    return SUCCESS;
}
API cuStreamCreateWithPriority(Stream** stream, unsigned flags, int) {
    return cuStreamCreate(stream, flags);
}
API cuStreamDestroy_v2(Stream* s) {
    ENTER
    if (known(s) && s->capture)
        NOT_CAPTURED(s)
    return dropped(s);
}
API cuStreamGetCtx(Stream* s, void** context) {
    ENTER
    STREAM(s)
    *context = &primary;
    return SUCCESS;
}
API cuStreamSynchronize(Stream* s) {
    ENTER
    STREAM(s)
    NOT_CAPTURED(s)
    return SUCCESS;
}
API cuStreamQuery(Stream* s) {
    return cuStreamSynchronize(s);
}
API cuEventCreate(Event** event, unsigned) {
    ENTER_CONTEXT
    *event = made<Event>();
    return SUCCESS;
}
API cuEventDestroy_v2(Event* event) {
    ENTER
    return dropped(event);
}
API cuEventRecord(Event* event, Stream* s) {
    ENTER
    STREAM(s)
    if (!known(event))
        return ERROR_INVALID_HANDLE;
    if (s->capture && s->capture->broken)
        return ERROR_STREAM_CAPTURE_INVALIDATED;
    event->recorded = true;
    event->at = std::chrono::steady_clock::now();
    event->capture = s->capture;
    event->stream = s;
    event->done = 0;
    if (s->capture)
        if (auto branch = s->capture->branches.find(s); branch != s->capture->branches.end())
            event->done = branch->second.done;
    return SUCCESS;
}
API cuEventRecordWithFlags(Event* event, Stream* s, unsigned) {
    return cuEventRecord(event, s);
}
API cuEventSynchronize(Event* event) {
    ENTER
    if (!known(event))
        return ERROR_INVALID_HANDLE;
    if (event->capture && captures.count(event->capture)) {
        event->capture->broken = true;
        return ERROR_CAPTURED_EVENT;
    }
    return SUCCESS;
}
API cuEventQuery(Event* event) {
    return cuEventSynchronize(event);
}
API cuEventElapsedTime_v2(float* milliseconds, Event* start, Event* end) {
    ENTER
    if (!known(start) || !known(end) || !start->recorded || !end->recorded)
        return ERROR_INVALID_HANDLE;
    *milliseconds = std::chrono::duration<float, std::milli>(end->at - start->at).count();
    return SUCCESS;
}
API cuEventElapsedTime(float* milliseconds, Event* start, Event* end) {
    return cuEventElapsedTime_v2(milliseconds, start, end);
}
API cuStreamWaitEvent(Stream* s, Event* event, unsigned) {
    ENTER
    STREAM(s)
    if (!known(event))
        return ERROR_INVALID_HANDLE;
    bool live = event->capture && captures.count(event->capture);
    if (!s->capture) {
        if (!live)
            return SUCCESS;
        if (event->capture->broken)
            return ERROR_STREAM_CAPTURE_INVALIDATED;
        // Waiting for what is captured draws this stream in.
        s->capture = event->capture;
        s->capture->branches[s];
    }
    if (s->capture->broken)
        return ERROR_STREAM_CAPTURE_INVALIDATED;
    if (!live) {
        if (!event->recorded)
            return SUCCESS;
        s->capture->broken = true;
        return ERROR_STREAM_CAPTURE_ISOLATION;
    }
    if (event->capture != s->capture) {
        s->capture->broken = event->capture->broken = true;
        return ERROR_STREAM_CAPTURE_MERGE;
    }
    if (auto branch = s->capture->branches.find(event->stream); branch != s->capture->branches.end() && event->stream != s)
        branch->second.joined = std::max(branch->second.joined, event->done);
    return SUCCESS;
}

// Memory

API cuMemGetInfo_v2(size_t* unused, size_t* total) {
    ENTER_CONTEXT
    *unused = device_memory() - bytes_now;
    *total = device_memory();
    return SUCCESS;
}
API cuMemAlloc_v2(Address* to, size_t bytes) {
    ENTER_CONTEXT
    UNSAFE()
    return take(to, bytes);
}
API cuMemAllocAsync(Address* to, size_t bytes, Stream* s) {
    ENTER
    STREAM(s)
    NOT_CAPTURED(s)
    return take(to, bytes);
}
API cuMemAllocFromPoolAsync(Address* to, size_t bytes, void* pool, Stream* s) {
    return pool == &pool_values ? cuMemAllocAsync(to, bytes, s) : ERROR_INVALID_HANDLE;
}
API cuMemFree_v2(Address at) {
    ENTER
    UNSAFE(true)
    return give(at);
}
API cuMemFreeAsync(Address at, Stream* s) {
    ENTER
    STREAM(s)
    NOT_CAPTURED(s)
    return give(at);
}
API cuMemHostAlloc(void** to, size_t bytes, unsigned) {
    ENTER_CONTEXT
    UNSAFE()
    if (!bytes)
        return ERROR_INVALID_VALUE;
    *to = aligned_alloc(4096, (bytes + 4095) & ~(size_t)4095);
    if (!*to)
        return ERROR_OUT_OF_MEMORY;
    memset(*to, 0xff, bytes);
    pinned[*to] = bytes;
    return SUCCESS;
}
API cuMemAllocHost_v2(void** to, size_t bytes) {
    return cuMemHostAlloc(to, bytes, 0);
}
API cuMemFreeHost(void* at) {
    ENTER
    UNSAFE()
    if (!pinned.erase(at))
        return ERROR_INVALID_VALUE;
    free(at);
    return SUCCESS;
}

// Copies. A graph could read ordinary host memory only long after whoever gave it has let go of it, so that it is not captured.
static bool is_pinned(const void* at, size_t bytes) {
    auto after = pinned.upper_bound((void*)at);
    if (after == pinned.begin())
        return false;
    auto& [start, room] = *--after;
    size_t from = (char*)at - (char*)start;
    return from <= room && bytes <= room - from;
}
static int to_device(Address to, const void* from, size_t bytes) {
    if (!within(to, bytes))
        return ERROR_INVALID_VALUE;
    counts.copies_to_device++;
    memcpy((void*)to, from, bytes);
    return SUCCESS;
}
static int from_device(void* to, Address from, size_t bytes) {
    if (!within(from, bytes))
        return ERROR_INVALID_VALUE;
    counts.copies_from_device++;
    memcpy(to, (void*)from, bytes);
    return SUCCESS;
}
static int between(Address to, Address from, size_t bytes) {
    if (!within(to, bytes) || !within(from, bytes))
        return ERROR_INVALID_VALUE;
    memmove((void*)to, (void*)from, bytes);
    return SUCCESS;
}
API cuMemcpyHtoDAsync_v2(Address to, const void* from, size_t bytes, Stream* s) {
    ENTER
    STREAM(s)
    if (!within(to, bytes))
        return ERROR_INVALID_VALUE;
    if (!is_pinned(from, bytes))
        NOT_CAPTURED(s)
    return put(s, COPY_NODE, [=] { return to_device(to, from, bytes); });
}
API cuMemcpyDtoHAsync_v2(void* to, Address from, size_t bytes, Stream* s) {
    ENTER
    STREAM(s)
    if (!within(from, bytes))
        return ERROR_INVALID_VALUE;
    if (!is_pinned(to, bytes))
        NOT_CAPTURED(s)
    return put(s, COPY_NODE, [=] { return from_device(to, from, bytes); });
}
API cuMemcpyDtoDAsync_v2(Address to, Address from, size_t bytes, Stream* s) {
    ENTER
    STREAM(s)
    if (!within(to, bytes) || !within(from, bytes))
        return ERROR_INVALID_VALUE;
    return put(s, COPY_NODE, [=] { return between(to, from, bytes); });
}
API cuMemcpyHtoD_v2(Address to, const void* from, size_t bytes) {
    ENTER_CONTEXT
    UNSAFE(true)
    return to_device(to, from, bytes);
}
API cuMemcpyDtoH_v2(void* to, Address from, size_t bytes) {
    ENTER_CONTEXT
    UNSAFE(true)
    return from_device(to, from, bytes);
}
API cuMemcpyDtoD_v2(Address to, Address from, size_t bytes) {
    ENTER_CONTEXT
    UNSAFE(true)
    return between(to, from, bytes);
}
template <class T>
static int set(Address at, T value, size_t n) {
    if (at % sizeof(T) || n > SIZE_MAX / sizeof(T) || !within(at, n * sizeof(T)))
        return ERROR_INVALID_VALUE;
    std::fill_n((T*)at, n, value);
    return SUCCESS;
}
#define MEMSET(BITS, T)                                                                 \
    API cuMemsetD##BITS##Async(Address at, T value, size_t n, Stream* s) {              \
        ENTER                                                                           \
        STREAM(s)                                                                       \
        if (at % sizeof(T) || n > SIZE_MAX / sizeof(T) || !within(at, n * sizeof(T)))   \
            return ERROR_INVALID_VALUE;                                                 \
        return put(s, SET_NODE, [=] { return set<T>(at, value, n); });                  \
    }                                                                                   \
    API cuMemsetD##BITS##_v2(Address at, T value, size_t n) {                           \
        ENTER_CONTEXT                                                                   \
        UNSAFE(true)                                                                    \
        return set<T>(at, value, n);                                                    \
    }
MEMSET(8, unsigned char)
MEMSET(16, unsigned short)
MEMSET(32, unsigned)

// Modules and launches. Images name nothing: each module has all kernels.

API cuModuleLoadData(Module** module, const void* image) {
    ENTER_CONTEXT
    UNSAFE()
    if (!image)
        return ERROR_INVALID_IMAGE;
    *module = made<Module>();
    return SUCCESS;
}
API cuModuleLoadDataEx(Module** module, const void* image, unsigned, void*, void*) {
    return cuModuleLoadData(module, image);
}
API cuModuleUnload(Module* module) {
    ENTER
    if (!known(module))
        return ERROR_INVALID_HANDLE;
    for (auto& [name, function] : module->functions)
        all<Function>().erase(function.get());
    return dropped(module);
}
API cuModuleGetFunction(Function** function, Module* module, const char* name) {
    ENTER
    if (!known(module))
        return ERROR_INVALID_HANDLE;
    for (auto& kernel : kernels)
        if (!strcmp(kernel.name, name)) {
            auto& own = module->functions[name];
            if (!own) {
                own.reset(new Function{&kernel});
                all<Function>().insert(own.get());
            }
            *function = own.get();
            return SUCCESS;
        }
    return ERROR_NOT_FOUND;
}
API cuFuncSetAttribute(Function* function, int attribute, int value) {
    ENTER
    if (!known(function))
        return ERROR_INVALID_HANDLE;
    if (attribute == 8) {
        if (value < 0 || value > (int)MOST_SHARED)
            return ERROR_INVALID_VALUE;
        function->most_dynamic = value;
    }
    return SUCCESS;
}
API cuFuncGetAttribute(int* value, int attribute, Function* function) {
    ENTER
    if (!known(function))
        return ERROR_INVALID_HANDLE;
    *value = attribute == 0 ? function->kernel->most_threads : attribute == 8 ? function->most_dynamic : 0;
    return SUCCESS;
}
API cuFuncSetCacheConfig(Function* function, int) {
    ENTER
    return known(function) ? SUCCESS : ERROR_INVALID_HANDLE;
}
API cuLaunchKernel(Function* function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared, Stream* s,
                   void** arguments, void** extra) {
    ENTER
    STREAM(s)
    if (!known(function))
        return ERROR_INVALID_HANDLE;
    const Kernel* kernel = function->kernel;
    if (!gx || !gy || !gz || gx > 2147483647u || gy > 65535 || gz > 65535 || !bx || bx > 1024 || !arguments)
        return ERROR_INVALID_VALUE;
    if ((int)shared > function->most_dynamic || (int)bx > kernel->most_threads)
        return ERROR_INVALID_VALUE;
    if (by != 1 || bz != 1 || extra)
        return ERROR_NOT_SUPPORTED;
    auto call = kernel->bind({(int)gx, (int)gy, (int)gz}, bx, arguments);
    (s->capture ? counts.recorded : counts.launches)++;
    return put(s, KERNEL_NODE, [=] { return run_kernel(kernel->name, shared, call); });
}
API cuLaunchHostFunc(Stream* s, void (*function)(void*), void* data) {
    ENTER
    STREAM(s)
    return put(s, HOST_NODE, [=] {
        function(data);
        return SUCCESS;
    });
}

// Captures and graphs

API cuThreadExchangeStreamCaptureMode(int* mode) {
    int before = thread_mode;
    thread_mode = (Mode)*mode;
    *mode = before;
    return SUCCESS;
}
API cuStreamBeginCapture_v2(Stream* handle, int mode) {
    ENTER
    Stream* s = stream_of(handle);
    if (!s)
        return ERROR_INVALID_HANDLE;
    if (s != handle)
        return ERROR_STREAM_CAPTURE_UNSUPPORTED;
    if (mode < 0 || mode > 2)
        return ERROR_INVALID_VALUE;
    if (s->capture)
        return ERROR_ILLEGAL_STATE;
    static unsigned long long id = 0;
    s->capture = std::make_shared<Capture>();
    s->capture->id = ++id;
    s->capture->mode = (Mode)mode;
    s->capture->thread = std::this_thread::get_id();
    s->capture->origin = s;
    captures.insert(s->capture);
    return SUCCESS;
}
API cuStreamEndCapture(Stream* s, Graph** graph) {
    ENTER
    STREAM(s)
    *graph = nullptr;
    auto c = s->capture;
    if (!c)
        return ERROR_ILLEGAL_STATE;
    if (c->origin != s) {
        c->broken = true;
        return ERROR_STREAM_CAPTURE_UNMATCHED;
    }
    if (c->mode != RELAXED && c->thread != std::this_thread::get_id())
        return ERROR_STREAM_CAPTURE_WRONG_THREAD;
    bool joined = true;
    for (auto& [stream, branch] : c->branches) {
        joined = joined && branch.joined == branch.done;
        if (known(stream))
            stream->capture = nullptr;
    }
    s->capture = nullptr;
    captures.erase(c);
    if (c->broken)
        return ERROR_STREAM_CAPTURE_INVALIDATED;
    if (!joined)
        return ERROR_STREAM_CAPTURE_UNJOINED;
    *graph = made<Graph>();
    for (auto& node : c->nodes)
        (*graph)->nodes.emplace_back(std::move(node));
    return SUCCESS;
}
API cuStreamIsCapturing(Stream* s, int* status) {
    ENTER
    STREAM(s)
    *status = !s->capture ? 0 : s->capture->broken ? 2 : 1;
    return SUCCESS;
}
// Graphs that are still being captured have no handle here.
API cuStreamGetCaptureInfo_v3(Stream* s, int* status, unsigned long long* id, Graph** graph, void** dependencies, void** edges, size_t* count) {
    if (int r = cuStreamIsCapturing(s, status))
        return r;
    ENTER
    STREAM(s)
    if (graph)
        *graph = nullptr;
    if (dependencies)
        *dependencies = nullptr;
    if (edges)
        *edges = nullptr;
    if (count)
        *count = 0;
    if (id)
        *id = s->capture ? s->capture->id : 0;
    return SUCCESS;
}
API cuStreamGetCaptureInfo_v2(Stream* s, int* status, unsigned long long* id, Graph** graph, void** dependencies, size_t* count) {
    return cuStreamGetCaptureInfo_v3(s, status, id, graph, dependencies, nullptr, count);
}
API cuGraphInstantiateWithFlags(Executable** executable, Graph* graph, unsigned long long) {
    ENTER
    if (!known(graph))
        return ERROR_INVALID_HANDLE;
    *executable = made<Executable>();
    (*executable)->nodes = graph->nodes;
    counts.graphs++;
    return SUCCESS;
}
API cuGraphInstantiate(Executable** executable, Graph* graph, unsigned long long flags) {
    return cuGraphInstantiateWithFlags(executable, graph, flags);
}
API cuGraphUpload(Executable* executable, Stream* s) {
    ENTER
    STREAM(s)
    NOT_CAPTURED(s)
    return known(executable) ? SUCCESS : ERROR_INVALID_HANDLE;
}
API cuGraphLaunch(Executable* executable, Stream* s) {
    ENTER
    STREAM(s)
    if (!known(executable))
        return ERROR_INVALID_HANDLE;
    counts.graph_launches += !s->capture;
    for (auto& node : executable->nodes) {
        counts.graph_kernels += !s->capture && node->kind == KERNEL_NODE;
        // Within a capture its nodes become nodes of the new graph.
        int r = put(s, node->kind, node->run);
        if (r == ERROR_INVALID_VALUE) {
            fprintf(stderr, "stand-in driver: a graph copies to or from, or clears, what is no buffer any more\n");
            r = lost = ERROR_ILLEGAL_ADDRESS;
        }
        if (r)
            return r;
    }
    return SUCCESS;
}
API cuGraphExecDestroy(Executable* executable) {
    ENTER
    return dropped(executable);
}
API cuGraphDestroy(Graph* graph) {
    ENTER
    return dropped(graph);
}
API cuGraphGetNodes(Graph* graph, Node** nodes, size_t* count) {
    ENTER
    if (!known(graph))
        return ERROR_INVALID_HANDLE;
    if (!nodes) {
        *count = graph->nodes.size();
        return SUCCESS;
    }
    size_t i = 0;
    for (; i < *count && i < graph->nodes.size(); i++)
        nodes[i] = graph->nodes[i].get();
    for (size_t rest = i; rest < *count; rest++)
        nodes[rest] = nullptr;
    *count = i;
    return SUCCESS;
}
API cuGraphNodeGetType(Node* node, int* kind) {
    ENTER
    *kind = node->kind;
    return SUCCESS;
}
