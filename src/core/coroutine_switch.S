/* void coroutine_switch(void **save_sp, void *load_sp)
 *
 * Saves what a callee must keep on the stack, leaves the stack pointer in *save_sp, goes on where
 * load_sp was left. System V ABI x86-64, 3.2.1; AAPCS64, 6.1. coroutine_start() is where a new
 * stack begins: its struct coroutine waits in r12 or x19.
 */
#if defined(__x86_64__)
    .text
    .globl coroutine_switch
    .type coroutine_switch, @function
coroutine_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    subq $8, %rsp
    stmxcsr (%rsp)
    fnstcw 4(%rsp)
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    ldmxcsr (%rsp)
    fldcw 4(%rsp)
    addq $8, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
    .size coroutine_switch, .-coroutine_switch

    .globl coroutine_start
    .type coroutine_start, @function
coroutine_start:
    .cfi_startproc
    .cfi_undefined rip
    movq %r12, %rdi
    call coroutine_main
    ud2
    .cfi_endproc
    .size coroutine_start, .-coroutine_start
#elif defined(__aarch64__)
    .text
    .globl coroutine_switch
    .type coroutine_switch, %function
coroutine_switch:
    sub sp, sp, #176
    stp x19, x20, [sp, #0]
    stp x21, x22, [sp, #16]
    stp x23, x24, [sp, #32]
    stp x25, x26, [sp, #48]
    stp x27, x28, [sp, #64]
    stp x29, x30, [sp, #80]
    stp d8, d9, [sp, #96]
    stp d10, d11, [sp, #112]
    stp d12, d13, [sp, #128]
    stp d14, d15, [sp, #144]
    mov x2, sp
    str x2, [x0]
    mov sp, x1
    ldp x19, x20, [sp, #0]
    ldp x21, x22, [sp, #16]
    ldp x23, x24, [sp, #32]
    ldp x25, x26, [sp, #48]
    ldp x27, x28, [sp, #64]
    ldp x29, x30, [sp, #80]
    ldp d8, d9, [sp, #96]
    ldp d10, d11, [sp, #112]
    ldp d12, d13, [sp, #128]
    ldp d14, d15, [sp, #144]
    add sp, sp, #176
    ret
    .size coroutine_switch, .-coroutine_switch

    .globl coroutine_start
    .type coroutine_start, %function
coroutine_start:
    mov x0, x19
    bl coroutine_main
    brk #1
    .size coroutine_start, .-coroutine_start
#endif
    .section .note.GNU-stack, "", %progbits
