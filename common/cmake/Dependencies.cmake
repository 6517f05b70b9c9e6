# Every library comes from the distribution; docs/dependencies.md says what each is for.
find_package(Threads REQUIRED)
find_package(OpenSSL 3.0 REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(SODIUM REQUIRED IMPORTED_TARGET libsodium)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson)
pkg_check_modules(CURL REQUIRED IMPORTED_TARGET libcurl)
pkg_check_modules(PQ REQUIRED IMPORTED_TARGET libpq)
pkg_check_modules(INIH REQUIRED IMPORTED_TARGET inih)
pkg_check_modules(SYSTEMD REQUIRED IMPORTED_TARGET libsystemd)
pkg_check_modules(MAXMINDDB REQUIRED IMPORTED_TARGET libmaxminddb)
pkg_check_modules(SRTP REQUIRED IMPORTED_TARGET libsrtp2)
find_package(wslay CONFIG REQUIRED)
pkg_check_modules(H2O REQUIRED IMPORTED_TARGET libh2o-evloop)

# The package's .pc file doesn't say which event loop the library was built for.
add_library(berth_h2o INTERFACE)
target_compile_definitions(berth_h2o INTERFACE H2O_USE_EPOLL=1)
target_link_libraries(berth_h2o INTERFACE PkgConfig::H2O OpenSSL::SSL OpenSSL::Crypto Threads::Threads)

# libpacparser ships neither a .pc file nor a CMake package.
find_library(PACPARSER_LIBRARY pacparser REQUIRED)
find_path(PACPARSER_INCLUDE pacparser.h REQUIRED)
add_library(berth_pacparser INTERFACE)
target_include_directories(berth_pacparser SYSTEM INTERFACE ${PACPARSER_INCLUDE})
target_link_libraries(berth_pacparser INTERFACE ${PACPARSER_LIBRARY})
