# The CUDA backend: nvcc compiles every .cu file for four generations of GPUs, and the newest as PTX for later ones.
# CMAKE_CUDA_ARCHITECTURES chooses others. Without nvcc, cuda_stub.c stands for it and says so.
if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
    set(CMAKE_CUDA_ARCHITECTURES 80-real 90-real 100-real 120)
endif()
if(WITH_CUDA)
    find_package(CUDAToolkit QUIET)
endif()
if(WITH_CUDA AND CUDAToolkit_VERSION VERSION_GREATER_EQUAL 12.8) # the first that knows sm_120
    include(CheckLanguage)
    check_language(CUDA)
endif()
if(WITH_CUDA AND CMAKE_CUDA_COMPILER)
    enable_language(CUDA)
    set(CMAKE_CUDA_LINKER_PREFERENCE 0) # C links: nothing of CUDA C needs more
    file(GLOB kernels CONFIGURE_DEPENDS compress/cuda/*.cu)
    set_target_properties(occ-compress-lib PROPERTIES CUDA_ARCHITECTURES "${CMAKE_CUDA_ARCHITECTURES}")
    target_sources(occ-compress-lib PRIVATE ${kernels})
    set_source_files_properties(compress/cuda_stub.c PROPERTIES HEADER_FILE_ONLY ON)
    target_compile_options(occ-compress-lib PRIVATE
        "$<$<COMPILE_LANGUAGE:CUDA>:--Werror=all-warnings;-std=c++20;--threads=2;--resource-usage;-Xcompiler=-Wall,-Wextra>")
    if(WITH_TESTS) # t0700-kernels.sh reads what ptxas said
        set(launcher sh ${PROJECT_SOURCE_DIR}/tests/kernels/keep_log.sh ${CMAKE_CUDA_COMPILER_LAUNCHER})
        set_target_properties(occ-compress-lib PROPERTIES CUDA_COMPILER_LAUNCHER "${launcher}")
    endif()
    target_link_libraries(occ-compress-lib PRIVATE CUDA::cudart_static ${CMAKE_DL_LIBS})
    message(STATUS "CUDA backend: nvcc ${CMAKE_CUDA_COMPILER_VERSION}")
else()
    message(STATUS "CUDA backend: left out (no nvcc from 12.8 on, or WITH_CUDA is OFF)")
endif()
